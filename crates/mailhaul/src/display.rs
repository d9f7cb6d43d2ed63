//! Progress on stderr: two lines that stay where they are on a terminal, a line every few seconds elsewhere. An account
//! that is followed has one line on a terminal, and elsewhere one when something has changed.
//!
//! Whoever else writes to stderr meanwhile does it through [`aside`], so that his line stands above the two.

use crate::follow_text::FollowStory;
use crate::progress_text::{Rate, Speed, amounts, label, last_line, line, share_done};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mailhaul_copy::{Progress, Snapshot};
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How often the bar is redrawn.
const REDRAW: Duration = Duration::from_millis(200);
/// The numbers change less often than the bar: one that flickers cannot be read.
const DRAWS_PER_SPEED: u64 = 5;
/// How often it is looked whether there is anything to write where there is no terminal.
const LOOK: Duration = Duration::from_secs(1);
/// How often a line on the work is written there.
const LOOKS_PER_LINE: u32 = 5;
/// What a terminal is taken for that does not say how wide it is.
const COLUMNS: usize = 80;
/// The same for its height.
const ROWS: usize = 24;

/// How wide the label before the bar may become.
const LABEL_COLUMNS_MAX: usize = 56;

/// The bar that is on the terminal now.
static DRAWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// A display that runs until it is told to end.
pub(crate) struct Display {
    task: JoinHandle<()>,
    progress: Arc<Progress>,
    started: Instant,
    bar: Option<ProgressBar>,
    has_written: Arc<AtomicBool>,
}

impl Display {
    /// Starts showing `progress`.
    pub(crate) fn start(progress: Arc<Progress>) -> Self {
        let bar = is_drawable().then(new_bar);
        drawn().clone_from(&bar);
        let has_written = Arc::new(AtomicBool::new(false));
        let task = match &bar {
            Some(bar) => tokio::spawn(draw(Arc::clone(&progress), bar.clone())),
            None => tokio::spawn(write_lines(Arc::clone(&progress), Arc::clone(&has_written))),
        };
        Self { task, progress, started: Instant::now(), bar, has_written }
    }

    /// Ends the display: one line with what was reached stays, where there was anything to follow at all.
    pub(crate) fn end(self) {
        self.task.abort();
        let was_seen = self.bar.is_some() || self.has_written.load(Ordering::Relaxed);
        *drawn() = None;
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        let now = self.progress.snapshot();
        // What came of following stands in the result; the last round says little.
        if was_seen && now.mailboxes_expected > 0 && now.following.is_none() {
            say(&last_line(&now, self.started.elapsed()));
        }
    }
}

/// Does something that writes to stderr, with the bar out of the way meanwhile.
pub(crate) fn aside<T>(write: impl FnOnce() -> T) -> T {
    let bar = drawn().clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

fn drawn() -> MutexGuard<'static, Option<ProgressBar>> {
    DRAWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether standard error can be drawn on.
pub(crate) fn is_drawable() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

fn new_bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(10_000), ProgressDrawTarget::stderr());
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let template = if colour {
        "{prefix:.bold} {wide_bar:.cyan/dim} {percent:>3}%\n{wide_msg}"
    } else {
        "{prefix} {wide_bar} {percent:>3}%\n{wide_msg}"
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("━━─"));
    bar
}

async fn draw(progress: Arc<Progress>, bar: ProgressBar) {
    let (mut rate, mut speed) = (Rate::default(), Speed::default());
    let mut story: Option<FollowStory> = None;
    let mut tick = tokio::time::interval(REDRAW);
    for count in 0.. {
        tick.tick().await;
        let (now, at) = (progress.snapshot(), Instant::now());
        if let Some(following) = &now.following {
            let story = story.get_or_insert_with(|| {
                bar.set_style(
                    ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
                );
                FollowStory::default()
            });
            story.take(at, following);
            bar.set_message(story.line(at, &now, following, columns() - 1));
            continue;
        }
        if count % DRAWS_PER_SPEED == 0 {
            speed = rate.take(at, &now);
        }
        draw_once(&bar, &now, &speed);
    }
}

fn draw_once(bar: &ProgressBar, now: &Snapshot, speed: &Speed) {
    let columns = columns();
    // A label of one width, so that the bar does not jump when the name changes.
    let room = (columns / 2).min(LABEL_COLUMNS_MAX);
    bar.set_prefix(crate::columns::fit(&label(now, room), room));
    bar.set_position(share_done(now));
    let text = if now.mailboxes_expected == 0 { String::new() } else { amounts(now, speed, columns - 1) };
    bar.set_message(text);
}

fn columns() -> usize {
    screen_size().0
}

/// Columns and rows of the terminal.
pub(crate) fn screen_size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
    let or = |number: Option<u16>, usual| number.map(usize::from).filter(|number| *number > 0).unwrap_or(usual);
    (or(size.map(|size| size.ws_col), COLUMNS), or(size.map(|size| size.ws_row), ROWS))
}

/// Makes this the bar that others write above.
pub(crate) fn put_up(bar: &ProgressBar) {
    *drawn() = Some(bar.clone());
}

/// Takes it back.
pub(crate) fn take_down() {
    *drawn() = None;
}

async fn write_lines(progress: Arc<Progress>, has_written: Arc<AtomicBool>) {
    let (mut rate, mut story) = (Rate::default(), FollowStory::default());
    let mut tick = tokio::time::interval(LOOK);
    // A run that ends before the first line is told by its result alone.
    tick.tick().await;
    for count in 1.. {
        tick.tick().await;
        let (now, at) = (progress.snapshot(), Instant::now());
        let news = now.following.as_ref().and_then(|following| story.take(at, following));
        let is_calm = now.following.is_some() && !story.is_behind(at);
        let text = match news {
            Some(news) => news,
            None if is_calm || count % LOOKS_PER_LINE != 0 || now.activity.is_empty() => continue,
            None => line(&now, &rate.take(at, &now)),
        };
        say(&text);
        has_written.store(true, Ordering::Relaxed);
    }
}

/// Writes a line to stderr.
pub(crate) fn say(line: &str) {
    // A closed stderr is no reason to stop copying.
    let _ = writeln!(std::io::stderr(), "{line}");
}
