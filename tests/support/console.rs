//! The program as a person meets it: the real binary in a real pty, with keys, resizes and signals; what it writes goes
//! through a terminal emulator.

#![allow(dead_code, missing_docs, reason = "every test program uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's way to fail")]

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, SlavePty, native_pty_system};

/// What a person waits at most for something that has no promise of its own, on a machine that does much else.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What came out of the pty so far.
struct Output {
    parser: vt100::Parser,
    bytes: Vec<u8>,
    /// Nobody reads any more: the next byte ends the reader.
    over: bool,
}

/// A program in a pty; killed when dropped.
pub struct Console {
    master: Option<Box<dyn MasterPty + Send>>,
    /// Kept open, so that what the program leaves the terminal as can still be read when it is gone.
    slave: Option<Box<dyn SlavePty + Send>>,
    child: Box<dyn Child + Send + Sync>,
    keys: Option<Box<dyn Write + Send>>,
    reader: Option<JoinHandle<()>>,
    output: Arc<Mutex<Output>>,
    before: String,
    pub begun: Instant,
    /// What it remembers, unless the test says where; goes with it.
    _state: tempfile::TempDir,
}

/// How to start a program in a pty.
pub struct Start {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    size: (u16, u16),
    controlling: bool,
}

/// `tierdeck` with these arguments.
pub fn tierdeck(arguments: &[&str]) -> Start {
    program(env!("CARGO_BIN_EXE_tierdeck"), arguments)
}

/// Any program.
pub fn program(program: impl Into<OsString>, arguments: &[&str]) -> Start {
    Start {
        program: program.into(),
        arguments: arguments.iter().map(Into::into).collect(),
        environment: Vec::new(),
        size: (160, 48),
        controlling: true,
    }
}

fn cells(cells: u16) -> NonZeroU16 {
    NonZeroU16::new(cells).expect("a terminal has cells")
}

fn pty_size((columns, rows): (u16, u16)) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

impl Start {
    pub fn environment(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    pub fn size(mut self, columns: u16, rows: u16) -> Self {
        self.size = (columns, rows);
        self
    }

    /// Not the session's own terminal: closing it sends no SIGHUP.
    pub fn borrowed_terminal(mut self) -> Self {
        self.controlling = false;
        self
    }

    pub fn open(self) -> Console {
        let pair = native_pty_system().openpty(pty_size(self.size)).unwrap();
        let mut command = CommandBuilder::new(&self.program);
        command.args(&self.arguments);
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        command.env_remove("NO_COLOR");
        command.env_remove("TIERDECK_COLOR");
        // What somebody chose on this machine is no part of a test.
        let state = tempfile::Builder::new().prefix("tierdeck-state-").tempdir().unwrap();
        command.env("TIERDECK_STATE", state.path());
        command.cwd("/");
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        command.set_controlling_tty(self.controlling);
        let output = Arc::new(Mutex::new(Output {
            parser: vt100::Parser::new(cells(self.size.1), cells(self.size.0), 0),
            bytes: Vec::new(),
            over: false,
        }));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let sink = Arc::clone(&output);
        let reader = std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                let mut output = sink.lock().unwrap();
                if output.over {
                    break;
                }
                output.parser.process(&buffer[..read]);
                output.bytes.extend_from_slice(&buffer[..read]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        let before = settings(&*pair.master);
        let begun = Instant::now();
        let child = pair.slave.spawn_command(command).unwrap();
        let (master, slave, keys, reader) = (Some(pair.master), Some(pair.slave), Some(keys), Some(reader));
        Console { master, slave, child, keys, reader, output, before, begun, _state: state }
    }
}

/// How the terminal treats keys and lines: raw or not.
fn settings(master: &(dyn MasterPty + Send)) -> String {
    format!("{:?}", master.get_termios().expect("a pty has settings"))
}

impl Console {
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.process_id().expect("it runs")).unwrap()
    }

    /// What stands on the screen, line by line.
    pub fn screen(&self) -> String {
        self.output.lock().unwrap().parser.screen().contents()
    }

    /// The rows of the screen, each as wide as the terminal.
    pub fn rows(&self) -> Vec<String> {
        let output = self.output.lock().unwrap();
        let columns = output.parser.screen().size().1;
        output.parser.screen().rows(0, columns.get()).collect()
    }

    /// Everything that was ever written to the terminal.
    pub fn bytes(&self) -> Vec<u8> {
        self.output.lock().unwrap().bytes.clone()
    }

    /// Looks at the emulated terminal.
    pub fn look<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.output.lock().unwrap().parser.screen())
    }

    /// Waits until the screen is as it should be; fails with what it shows instead.
    #[track_caller]
    pub fn until(&mut self, what: &str, within: Duration, seen: impl Fn(&str) -> bool) -> Duration {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if seen(&screen) {
                return begun.elapsed();
            }
            let over = self.child.try_wait().unwrap();
            // What it wrote last may still be on its way to us.
            let screen = if over.is_some() { self.settled() } else { screen };
            if seen(&screen) {
                return begun.elapsed();
            }
            assert!(over.is_none(), "no {what}: it ended with {over:?}; the screen:\n{screen}");
            assert!(begun.elapsed() < within, "no {what} within {within:?}; the screen:\n{screen}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for words on the screen.
    #[track_caller]
    pub fn shows(&mut self, words: &str) -> Duration {
        self.until(words, PATIENCE, |screen| screen.contains(words))
    }

    /// Waits until words are gone from the screen.
    #[track_caller]
    pub fn hides(&mut self, words: &str) -> Duration {
        self.until(&format!("screen without {words:?}"), PATIENCE, |screen| !screen.contains(words))
    }

    /// The screen once nothing more has come for a moment.
    pub fn settled(&self) -> String {
        let mut length = usize::MAX;
        while length != self.output.lock().unwrap().bytes.len() {
            length = self.output.lock().unwrap().bytes.len();
            std::thread::sleep(Duration::from_millis(50));
        }
        self.screen()
    }

    /// Types.
    pub fn keys(&mut self, keys: &str) {
        let writer = self.keys.as_mut().expect("the pty is open");
        writer.write_all(keys.as_bytes()).and_then(|()| writer.flush()).unwrap();
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.output.lock().unwrap().parser.screen_mut().set_size(cells(rows), cells(columns));
        self.master.as_ref().expect("the pty is open").resize(pty_size((columns, rows))).unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Takes the terminal away, as a closed window does.
    pub fn hang_up(&mut self) {
        self.output.lock().unwrap().over = true;
        // The reader holds the terminal too, and waits for a byte: here it is.
        let name = self.master.as_ref().and_then(|master| master.tty_name()).expect("the pty is open");
        let mut door = OpenOptions::new().write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(name).unwrap();
        door.write_all(b".").unwrap();
        drop(door);
        self.reader.take().expect("it is read").join().unwrap();
        // Dropped, these type Enter and Ctrl-D.
        self.keys = None;
        self.slave = None;
        self.master = None;
    }

    /// Whether the terminal is raw now.
    pub fn is_raw(&self) -> bool {
        settings(&**self.master.as_ref().expect("the pty is open")) != self.before
    }

    /// Waits for the program's end.
    #[track_caller]
    pub fn ends(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end; the screen:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end, and asserts this exit code and that the terminal is as it was found.
    #[track_caller]
    pub fn ends_with(&mut self, code: u32) {
        let status = self.ends();
        let screen = self.settled();
        assert_eq!(status.signal(), None, "killed by a signal; the screen:\n{screen}");
        assert_eq!(status.exit_code(), code, "another exit code; the screen:\n{screen}");
        self.is_restored();
    }

    /// Asserts that the terminal is as it was found.
    #[track_caller]
    pub fn is_restored(&self) {
        let screen = self.settled();
        let taken = |sequence: &str| {
            let bytes = self.bytes();
            bytes.windows(sequence.len()).any(|window| window == sequence.as_bytes())
        };
        // A console that never took the terminal over proves nothing about giving it back.
        assert!(taken("\x1b[?1049h") && taken("\x1b[?25l") && taken("\x1b[?2004h"), "it never was ours:\n{screen}");
        self.look(|terminal| {
            assert!(!terminal.alternate_screen(), "the alternate screen was not left:\n{screen}");
            assert!(!terminal.hide_cursor(), "the cursor is still hidden:\n{screen}");
            let mouse = terminal.mouse_protocol_mode();
            assert_eq!(mouse, vt100::MouseProtocolMode::None, "the mouse is still ours:\n{screen}");
            assert!(!terminal.bracketed_paste(), "bracketed paste is still on:\n{screen}");
        });
        let now = settings(&**self.master.as_ref().expect("the pty is open"));
        assert_eq!(now, self.before, "the terminal is still raw");
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command says and how it ends, without a terminal.
pub struct Said {
    pub out: String,
    pub err: String,
    pub code: Option<i32>,
}

/// Runs `tierdeck` without a terminal.
pub fn run(arguments: &[&str], home: &Path) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tierdeck"));
    command.args(arguments).env("HOME", home).env_remove("TIERDECK_CONFIG").stdin(std::process::Stdio::null());
    let output = command.output().unwrap();
    Said {
        out: String::from_utf8(output.stdout).expect("UTF-8 on stdout"),
        err: String::from_utf8(output.stderr).expect("UTF-8 on stderr"),
        code: output.status.code(),
    }
}
