//! The terminal: taken over for the console, and given back whatever happens: return, error, panic, signal, closed input.

use std::future::Future;
use std::io::{self, Stdout, Write, stdout};
use std::mem::ManuallyDrop;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{self, DisableBracketedPaste, EnableBracketedPaste, Event};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use futures::future::select_all;
use futures::stream::poll_fn;
use futures::{FutureExt, Stream};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};

use crate::app::Exit;

/// Keys that wait for the loop; whoever pastes a book waits.
const TYPED: usize = 256;

/// How soon the reader of keys notices that nobody wants them any more.
const LOOK_UP: Duration = Duration::from_millis(250);

/// Whether the terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether the terminal's title is ours now.
static TITLED: AtomicBool = AtomicBool::new(false);

/// Told of every panic, also of one in a task that nobody waits for.
static PANICKED: Notify = Notify::const_new();

/// What is drawn reaches the terminal a frame at a time, between the marks of a synchronised update: nobody, and nothing that
/// looks over the shoulder, sees half of one. Terminals that do not know the marks skip them.
#[derive(Debug)]
pub struct Frames<W> {
    out: W,
    frame: Vec<u8>,
}

impl<W: Write> Frames<W> {
    /// Draws on this.
    pub fn on(out: W) -> Self {
        Self { out, frame: Vec::new() }
    }
}

impl<W: Write> Write for Frames<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.frame.is_empty() {
            let frame = std::mem::take(&mut self.frame);
            self.out.write_all(&[b"\x1b[?2026h", &frame[..], b"\x1b[?2026l"].concat())?;
        }
        self.out.flush()
    }
}

/// The terminal while it is ours. Dropping it gives it back.
pub struct Guard {
    /// What the console draws on. Never dropped: ratatui would tell a stderr that is gone that the cursor cannot be shown,
    /// and that panics. [`restore`] does what is needed.
    pub terminal: ManuallyDrop<Terminal<CrosstermBackend<Frames<Stdout>>>>,
}

impl Guard {
    /// Takes the terminal over: raw mode, alternate screen, bracketed paste; and hooks panics, so that their message is
    /// readable.
    pub fn take() -> io::Result<Self> {
        hook_panics();
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        let prepared = execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(Frames::on(stdout()))));
        match prepared {
            Ok(terminal) => Ok(Self { terminal: ManuallyDrop::new(terminal) }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back. Safe to call at any time and more than once; a terminal that is gone is no error.
pub fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Nothing can be done, or told to anybody, when the terminal itself is gone.
        title(None);
        let _ = mouse(false);
        let _ = execute!(stdout(), DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
        let _ = stdout().flush();
    }
}

/// Asks the terminal for clicks and the wheel, or leaves them to it. Not for every move of the pointer, as crossterm's own
/// command does: nobody needs those.
pub fn mouse(on: bool) -> io::Result<()> {
    let mut out = stdout();
    out.write_all(if on { b"\x1b[?1000h\x1b[?1006h" } else { b"\x1b[?1006l\x1b[?1000l" })?;
    out.flush()
}

/// Says something in the terminal's title; `None`: as it was before. A terminal that keeps no titles to come back to ignores what it
/// does not know.
pub fn title(words: Option<&str>) {
    let mut out = stdout();
    // Who cannot be told needs not know.
    let _ = match words {
        Some(words) => {
            let before = if TITLED.swap(true, Ordering::SeqCst) { "" } else { "\x1b[22;2t" };
            let words = crate::domain::foreign::sanitise(words);
            write!(out, "{before}\x1b]2;{words}\x07").and_then(|()| out.flush())
        }
        None if TITLED.swap(false, Ordering::SeqCst) => write!(out, "\x1b[23;2t").and_then(|()| out.flush()),
        None => Ok(()),
    };
}

/// Rings: somebody is needed.
pub fn bell() {
    let mut out = stdout();
    let _ = out.write_all(b"\x07").and_then(|()| out.flush());
}

fn hook_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            before(panic);
            PANICKED.notify_one();
        }));
    });
}

/// Ends when something from outside asks the console to leave: SIGINT, SIGTERM, SIGHUP, a terminal that hung up; or when a
/// part of us panicked.
pub fn stop() -> io::Result<impl Future<Output = Exit>> {
    let signal = signalled()?;
    Ok(async move {
        tokio::select! {
            signal = signal => Exit::Signal(signal),
            () = hung_up() => Exit::InputClosed,
            () = PANICKED.notified() => Exit::Panicked,
        }
    })
}

/// Ends with the number of the first SIGINT, SIGTERM or SIGHUP that comes.
pub fn signalled() -> io::Result<impl Future<Output = i32>> {
    let mut signals = Vec::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let mut stream = signal(kind)?;
        signals.push(
            async move {
                stream.recv().await;
                kind.as_raw_value()
            }
            .boxed(),
        );
    }
    Ok(async move { select_all(signals).await.0 })
}

/// Keys, clicks, pastes and sizes, until nobody wants them any more. Read on a thread of their own: from a terminal that hung
/// up crossterm's reader never returns, and in the loop (where its `EventStream` reads too) that would be the end of
/// everything else.
pub fn events() -> io::Result<impl Stream<Item = io::Result<Event>> + Unpin> {
    let (send, mut typed) = mpsc::channel(TYPED);
    let read = move || {
        while !send.is_closed() {
            let event = match event::poll(LOOK_UP) {
                Ok(false) => continue,
                Ok(true) => event::read(),
                Err(error) => Err(error),
            };
            let last = event.is_err();
            if send.blocking_send(event).is_err() || last {
                return;
            }
        }
    };
    std::thread::Builder::new().name("keys".to_owned()).spawn(read)?;
    Ok(poll_fn(move |context| typed.poll_recv(context)))
}

/// Ends when nobody is at the other end of standard input any more. The reader of keys does not say so: it spins. Nothing is
/// read here; what cannot be watched (a file, `/dev/null`: keys come from the controlling terminal then) never ends.
pub async fn hung_up() {
    #[expect(deprecated, reason = "what replaces it is unsafe; standard input is never closed while this watches it")]
    let watched = AsyncFd::with_interest(io::stdin(), Interest::READABLE);
    let Ok(input) = watched else {
        return std::future::pending().await;
    };
    loop {
        match input.ready(Interest::READABLE).await {
            Ok(mut guard) if !guard.ready().is_read_closed() => guard.clear_ready(),
            Ok(_) | Err(_) => return,
        }
    }
}

/// Puts text on the clipboard of the terminal that shows us, wherever that is (OSC 52).
pub fn copy(text: &str) -> io::Result<()> {
    execute!(stdout(), CopyToClipboard::to_clipboard_from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_one_write_between_the_marks_and_nothing_is_no_frame() {
        let mut frames = Frames::on(Vec::new());
        frames.flush().unwrap();
        assert!(frames.out.is_empty());
        frames.write_all(b"one ").unwrap();
        frames.write_all(b"row").unwrap();
        assert!(frames.out.is_empty(), "half a frame");
        frames.flush().unwrap();
        assert_eq!(frames.out, b"\x1b[?2026hone row\x1b[?2026l");
    }
}
