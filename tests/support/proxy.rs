//! A way between console and server that can stall, break and vanish.

#![allow(dead_code, missing_docs, reason = "every test program uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "a test's way to fail")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How the way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Way {
    /// Everything passes.
    Open,
    /// Connections are taken and stay, but not a byte passes.
    Stalled,
    /// Nobody listens, and what was open is broken off.
    Closed,
    /// The proxy is gone.
    Over,
}

/// See the module.
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

struct State {
    way: AtomicU8,
    listening: AtomicU8,
    upstream: AtomicU16,
    open: Mutex<Vec<TcpStream>>,
}

impl State {
    fn is(&self, way: Way) -> bool {
        self.way.load(Ordering::SeqCst) == way as u8
    }

    fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Proxy {
    /// To a port of this machine.
    pub fn to(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            way: AtomicU8::new(Way::Open as u8),
            listening: AtomicU8::new(1),
            upstream: AtomicU16::new(upstream),
            open: Mutex::default(),
        });
        let serving = Arc::clone(&state);
        std::thread::spawn(move || serve(&serving, port, listener));
        Self { port, state }
    }

    /// Changes the way, and returns when that is in force.
    pub fn set(&self, way: Way) {
        self.state.way.store(way as u8, Ordering::SeqCst);
        if matches!(way, Way::Closed | Way::Over) {
            self.state.cut();
        }
        let listening = u8::from(matches!(way, Way::Open | Way::Stalled));
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.state.listening.load(Ordering::SeqCst) != listening {
            assert!(Instant::now() < deadline, "the proxy does not follow");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.way.store(Way::Over as u8, Ordering::SeqCst);
        self.state.cut();
    }
}

fn serve(state: &Arc<State>, port: u16, first: TcpListener) {
    let mut listener = Some(first);
    loop {
        if state.is(Way::Over) {
            return state.listening.store(0, Ordering::SeqCst);
        }
        if state.is(Way::Closed) {
            listener = None;
            state.cut();
            state.listening.store(0, Ordering::SeqCst);
        } else {
            let open = listener.get_or_insert_with(|| {
                TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).expect("the port is still ours")
            });
            state.listening.store(1, Ordering::SeqCst);
            open.set_nonblocking(true).unwrap();
            if let Ok((near, _)) = open.accept() {
                near.set_nonblocking(false).unwrap();
                let state = Arc::clone(state);
                std::thread::spawn(move || join(&state, &near));
                continue;
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn join(state: &Arc<State>, near: &TcpStream) {
    let Ok(far) = TcpStream::connect(("127.0.0.1", state.upstream.load(Ordering::SeqCst))) else { return };
    for stream in [near, &far] {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        state.open.lock().unwrap().push(stream.try_clone().unwrap());
    }
    std::thread::scope(|scope| {
        scope.spawn(|| pass(state, near, &far));
        pass(state, &far, near);
    });
}

fn pass(state: &State, mut from: &TcpStream, mut to: &TcpStream) {
    let mut buffer = [0; 16_384];
    loop {
        while state.is(Way::Stalled) {
            std::thread::sleep(Duration::from_millis(5));
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                while state.is(Way::Stalled) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                if to.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
