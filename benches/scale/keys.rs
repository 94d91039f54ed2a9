//! Keys pressed at a person's pace, and faster, into the loop that ships, while the board takes in facts beside it.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use futures::Stream;
use jiff::Timestamp;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use tierdeck::app::{Exit, Model, Settings};
use tierdeck::domain::Snapshot;
use tierdeck::ui::Depth;
use tierdeck::ui::event_loop::{self, Inputs};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Times;
use crate::estate::Estate;

/// What people press: moving, sorting, filtering letter by letter, screens and pages.
const KEYS: &str = "jjjkjjGgss/cust⏎⎋S/noise>1⏎⎋3jjjsj/acti⏎⎋⏎⎋1⏎\t\t⎋?⎋jjjj";

/// When the key that was taken in last was pressed; what is flushed next shows it.
type Pressed = Arc<Mutex<Option<Instant>>>;

/// A terminal that notes when the bytes of a key's frame leave.
struct Glass {
    pressed: Pressed,
    took: Arc<Mutex<Times>>,
    bytes: usize,
}

impl Write for Glass {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(pressed) = self.pressed.lock().unwrap().take() {
            self.took.lock().unwrap().add_clock(pressed.elapsed());
        }
        Ok(())
    }
}

/// Keys as they are pressed, with the moment.
struct Keyboard {
    keys: mpsc::UnboundedReceiver<(Instant, Event)>,
    pressed: Pressed,
}

impl Stream for Keyboard {
    type Item = io::Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.keys.poll_recv(context);
        polled.map(|key| {
            key.map(|(at, event)| {
                // Of several in one burst the first has waited longest.
                self.pressed.lock().unwrap().get_or_insert(at);
                Ok(event)
            })
        })
    }
}

/// Presses keys for so long; how long each took to be on the screen.
pub fn press(runtime: &Runtime, mut estate: Estate, publish: watch::Sender<Arc<Snapshot>>, long: Duration) -> Times {
    let (pressed, took) = (Pressed::default(), Arc::new(Mutex::new(Times::default())));
    let snapshots = publish.subscribe();
    runtime.block_on(async {
        let collector = tokio::spawn(async move {
            // Four times as often as sessions are asked for.
            let mut clock = tokio::time::interval(Duration::from_millis(250));
            loop {
                clock.tick().await;
                for fragment in estate.pass_a_second() {
                    estate.deliver(fragment);
                }
                if publish.send(Arc::new(estate.snapshot())).is_err() {
                    return;
                }
            }
        });
        let (press, keys) = mpsc::unbounded_channel();
        let (leave, left) = oneshot::channel();
        let typist = tokio::spawn(async move {
            let mut random = SmallRng::seed_from_u64(2);
            let until = Instant::now() + long;
            for key in KEYS.chars().cycle() {
                if Instant::now() >= until {
                    break;
                }
                let code = match key {
                    '⏎' => KeyCode::Enter,
                    '⎋' => KeyCode::Esc,
                    '\t' => KeyCode::Tab,
                    key => KeyCode::Char(key),
                };
                let _ = press.send((Instant::now(), Event::Key(KeyEvent::new(code, KeyModifiers::NONE))));
                tokio::time::sleep(Duration::from_millis(random.random_range(15..60))).await;
            }
            let _ = leave.send(Exit::Quit);
        });
        let glass = Glass { pressed: pressed.clone(), took: took.clone(), bytes: 0 };
        let size = Rect::new(0, 0, 200, 60);
        let mut terminal =
            Terminal::with_options(CrosstermBackend::new(glass), TerminalOptions { viewport: Viewport::Fixed(size) })
                .unwrap();
        let (_report, reports) = mpsc::channel(8);
        let inputs = Inputs {
            events: Keyboard { keys, pressed },
            snapshots,
            reports,
            stop: async { left.await.unwrap_or(Exit::Quit) },
            clock: Timestamp::now,
        };
        let mut model = Model::new(settings(), Timestamp::now());
        event_loop::run(&mut terminal, inputs, &mut model, Depth::True, |_| ()).await.unwrap();
        collector.abort();
        typist.abort();
    });
    let took = took.lock().unwrap();
    took.clone()
}

fn settings() -> Settings {
    Settings {
        environment: "prod".to_owned(),
        read_only: true,
        refresh: Duration::from_secs(1),
        instances: vec!["shared".to_owned()],
        signals: Vec::new(),
        operator: "ann@desk".to_owned(),
        look: Duration::ZERO,
        lock_wait: Duration::from_secs(5),
        offers: Vec::new(),
        backup: tierdeck::domain::policy::BackupPolicy::default(),
        thresholds: tierdeck::domain::Thresholds::default(),
    }
}
