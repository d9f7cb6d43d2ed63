//! The rate over time, drawn as a line; stretches in which nobody watched are left open.

use crate::pulse::{Sample, rates};
use mailhaul_report::bytes_for_people;
use maud::{Markup, html};
use std::fmt::Write as _;

/// Points of the line.
const STRETCHES: usize = 60;
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 96.0;

/// The chart of the last hour.
pub(super) fn rate_chart(samples: &[Sample], now_unix_ms: i64) -> Markup {
    let from = now_unix_ms - 3_600_000;
    let rates = rates(samples, from, now_unix_ms, STRETCHES);
    let top = rates.iter().flatten().copied().fold(0.0, f64::max);
    // One stretch is a point, and no line.
    if top <= 0.0 || rates.iter().flatten().count() < 2 {
        return html! { div.chart.empty { p.soft { "Nothing has moved in the last hour, as far as this process has watched; the rate is drawn from the second minute on." } } };
    }
    let (line, area) = paths(&rates, top);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is positive")]
    let most = format!("{}/s", bytes_for_people(top as u64));
    html! {
        figure.chart {
            svg role="img" aria-label={ "Rate over the last hour; the highest was " (most) } viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" {
                path.grid d={ "M0 0.5H" (WIDTH) "M0 " (HEIGHT / 2.0) "H" (WIDTH) "M0 " (HEIGHT - 0.5) "H" (WIDTH) } {}
                path.area d=(area) {}
                path.curve d=(line) {}
            }
            figcaption { span { "an hour ago" } span.most { "highest " (most) } span { "now" } }
        }
    }
}

/// The line, and the area below it.
fn paths(rates: &[Option<f64>], top: f64) -> (String, String) {
    let (mut line, mut area) = (String::new(), String::new());
    #[expect(clippy::cast_precision_loss, reason = "there are sixty")]
    let x_of = |place: usize| WIDTH * (place as f64 + 0.5) / rates.len() as f64;
    let mut begun: Option<f64> = None;
    for (place, rate) in rates.iter().enumerate() {
        let x = x_of(place);
        match (rate, begun) {
            (Some(rate), _) => {
                let y = HEIGHT - 2.0 - (HEIGHT - 6.0) * rate / top;
                let _ = write!(line, "{}{x:.1} {y:.1}", if begun.is_some() { 'L' } else { 'M' });
                match begun {
                    Some(_) => drop(write!(area, "L{x:.1} {y:.1}")),
                    None => drop(write!(area, "M{x:.1} {HEIGHT}L{x:.1} {y:.1}")),
                }
                begun.get_or_insert(x);
            }
            (None, Some(_)) => {
                let _ = write!(area, "L{:.1} {HEIGHT}Z", x_of(place.saturating_sub(1)));
                begun = None;
            }
            (None, None) => {}
        }
    }
    if begun.is_some() {
        let _ = write!(area, "L{:.1} {HEIGHT}Z", x_of(rates.len().saturating_sub(1)));
    }
    (line, area)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_without_a_look_is_a_gap() {
        let (line, area) = paths(&[Some(1.0), Some(2.0), None, Some(2.0)], 2.0);
        assert_eq!((line.matches('M').count(), area.matches('Z').count()), (2, 2), "{line} {area}");
    }
}
