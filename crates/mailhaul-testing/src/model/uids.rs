//! Sequence sets (RFC 9051 §9): message numbers or UIDs, picked from those that there are.

use super::reply::Verdict;

/// Elements of one set; more is refused.
const ELEMENTS_MAX: usize = 200_000;

/// Ranges with both ends, where `*` is the highest that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Set(Vec<(u32, u32)>);

impl Set {
    /// Reads a set. `highest` stands for `*`.
    pub(super) fn read(text: &str, highest: u32) -> Result<Self, Verdict> {
        let wrong = || Verdict::bad("a sequence set cannot be read");
        let one = |word: &str| match word {
            "*" => Some(highest.max(1)),
            word => word.parse::<u32>().ok().filter(|number| *number > 0 && !word.starts_with('0')),
        };
        let mut ranges = Vec::new();
        for element in text.split(',') {
            let (first, last) = element.split_once(':').unwrap_or((element, element));
            let (first, last) = one(first).zip(one(last)).ok_or_else(wrong)?;
            ranges.push((first.min(last), first.max(last)));
            if ranges.len() > ELEMENTS_MAX {
                return Err(wrong());
            }
        }
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1 => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Ok(Self(merged))
    }

    pub(super) fn contains(&self, number: u32) -> bool {
        let upto = self.0.partition_point(|(first, _)| *first <= number);
        upto > 0 && number <= self.0[upto - 1].1
    }

    /// Ascending ranges that do not overlap.
    pub(super) fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_and_a_star_is_the_highest() {
        let set = Set::read("5,2:3,*:8", 10).expect("a set");
        let within: Vec<u32> = (1..12).filter(|number| set.contains(*number)).collect();
        assert_eq!(within, [2, 3, 5, 8, 9, 10]);
        // RFC 9051 §9: `U:*` names the last message also if U is above it.
        assert!(Set::read("12:*", 10).expect("a set").contains(10));
        for wrong in ["", "0", "1,,2", "1:", ":1", "x", "01", "4294967296", "1:2:3"] {
            assert!(Set::read(wrong, 10).is_err(), "{wrong}");
        }
    }
}
