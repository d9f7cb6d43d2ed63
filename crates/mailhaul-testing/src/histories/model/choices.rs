//! Where the copier is free to do one thing or another, the model tries both: a calculation asks for choices in its course, and
//! is repeated until every sequence of answers has been given.

/// The answers of one run of a calculation.
#[derive(Clone, Debug, Default)]
pub(super) struct Choices {
    /// What was answered, and of how many.
    tape: Vec<(usize, usize)>,
    at: usize,
}

impl Choices {
    /// A number below `of`. One possibility is no choice.
    pub(super) fn choose(&mut self, of: usize) -> usize {
        if of <= 1 {
            return 0;
        }
        if self.at == self.tape.len() {
            self.tape.push((0, of));
        }
        let (answer, _) = self.tape[self.at];
        self.at += 1;
        answer
    }

    /// A choice between yes and no.
    pub(super) fn either(&mut self) -> bool {
        self.choose(2) == 1
    }

    /// Goes on to the next sequence of answers; false when all were given.
    fn next(&mut self) -> bool {
        self.at = 0;
        while let Some((answer, of)) = self.tape.pop() {
            if answer + 1 < of {
                self.tape.push((answer + 1, of));
                return true;
            }
        }
        false
    }
}

/// Runs a calculation for every sequence of answers. None when there are more than `most`.
pub(super) fn every<T>(most: usize, mut calculation: impl FnMut(&mut Choices) -> T) -> Option<Vec<T>> {
    let mut choices = Choices::default();
    let mut results = Vec::new();
    loop {
        if results.len() == most {
            return None;
        }
        results.push(calculation(&mut choices));
        if !choices.next() {
            return Some(results);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sequence_is_tried_also_when_a_choice_depends_on_another() {
        let all = every(100, |choices| {
            let first = choices.choose(3);
            let second = if first == 1 { choices.choose(2) } else { choices.choose(1) };
            (first, second)
        });
        assert_eq!(all, Some(vec![(0, 0), (1, 0), (1, 1), (2, 0)]));
        assert_eq!(every(3, |choices| (choices.either(), choices.either())), None);
    }
}
