//! One batch of looks at one node: all their commands in one go, and again with what is left to ask.

use super::{
    link::{Link, NoAnswer, Pulse, Pushes},
    question::{Counted, Question},
};
use crate::{
    backend::{
        batch::Ask,
        redis::{
            measure::{Look, Measure, Memory, Step},
            reply::{Command, Redirect, Reply},
        },
    },
    error::ReadError,
};

/// Questions whose replies were too much are asked again by themselves, so that they harm nobody else; where most
/// are, it is the server.
const MOST_SUSPECTS: usize = 3;

/// A question with its asker, on its way to an answer.
pub struct Pending {
    ask: Ask<Question, Counted>,
    look: Look,
}

/// A question that this node cannot answer, and which one can.
pub struct Moved {
    /// The question.
    pub pending: Pending,
    /// Where to.
    pub redirect: Redirect,
}

impl Pending {
    /// A question not yet asked.
    pub fn new(ask: Ask<Question, Counted>) -> Self {
        let look = Self::first(&ask);
        Self { ask, look }
    }

    /// The key it is about.
    pub fn key(&self) -> &str {
        &self.ask.question.key
    }

    /// Answers it with a failure.
    pub fn fail(self, error: ReadError) {
        self.ask.answer(Err(error));
    }

    /// Begins again, at another node.
    fn afresh(self) -> Self {
        Self::new(self.ask)
    }

    fn first(ask: &Ask<Question, Counted>) -> Look {
        let Question { key, measure, memory } = &ask.question;
        Look::new(key.clone(), measure.clone(), *memory)
    }

    fn counted(self, value: f64, memory: Memory, pushes: &Pushes, pulse: &Pulse) {
        let Question { key, measure, .. } = &self.ask.question;
        let told = tells(pushes, measure);
        if let (true, Pushes::Keyspace(keyspace)) = (told, pushes) {
            keyspace.listen(key);
        }
        // Notifications come by a connection of their own, and what consumers do with a group is never told.
        let all_is_told = matches!((pushes, measure), (Pushes::Tracking, Measure::Length | Measure::StreamLength));
        let pulse = all_is_told.then(|| pulse.clone());
        self.ask.answer(Ok(Counted { value, memory, told, pulse }));
    }
}

fn tells(pushes: &Pushes, measure: &Measure) -> bool {
    match pushes {
        Pushes::Tracking => true,
        Pushes::Keyspace(keyspace) => keyspace.covers(measure),
        Pushes::None => false,
    }
}

/// Asks the node at `link` about all of `round`, each with `ASKING` before it if so wanted. Answers what can be
/// answered, failures as `fault` words them, and returns what has moved elsewhere.
pub async fn visit(
    link: &Link,
    mut round: Vec<Pending>,
    asking: bool,
    fault: fn(ReadError) -> ReadError,
) -> Vec<Moved> {
    let (mut moved, mut suspects) = (Vec::new(), Vec::new());
    while !round.is_empty() {
        let sets: Vec<Vec<Command>> = round.iter().map(|pending| commands(&pending.look, asking)).collect();
        let counts: Vec<usize> = sets.iter().map(Vec::len).collect();
        let answer = match link.ask(&sets.concat()).await {
            Ok(answer) => answer,
            Err(NoAnswer { error, too_much }) => {
                let suspect = too_much.and_then(|command| owner(&counts, command));
                if let (Some(suspect), true) = (suspect, round.len() > 1 && suspects.len() < MOST_SUSPECTS) {
                    suspects.push(round.swap_remove(suspect));
                    continue;
                }
                let alone = suspect.is_some() && round.len() == 1;
                let error = if alone { error.of_source() } else { fault(error) };
                round.into_iter().for_each(|pending| pending.fail(error.clone()));
                break;
            }
        };
        let mut replies = answer.replies.into_iter();
        let mut next = Vec::new();
        for (pending, count) in round.into_iter().zip(counts) {
            let mine: Vec<Reply> =
                replies.by_ref().take(count).skip(usize::from(asking)).step_by(1 + usize::from(asking)).collect();
            if let Some(redirect) = mine.iter().find_map(Reply::redirect) {
                moved.push(Moved { pending: pending.afresh(), redirect });
                continue;
            }
            match pending.look.clone().judge(&answer.place, &mine) {
                Ok(Step::Counted(value, memory)) => pending.counted(value, memory, &answer.pushes, &answer.pulse),
                Ok(Step::Again(look)) => next.push(Pending { look, ..pending }),
                Err(error) => pending.fail(fault(error)),
            }
        }
        round = next;
    }
    for suspect in suspects {
        moved.extend(Box::pin(visit(link, vec![suspect], asking, fault)).await);
    }
    moved
}

/// The question that has command number `command`, where each has so many of them.
fn owner(counts: &[usize], command: usize) -> Option<usize> {
    let ends = counts.iter().scan(0, |end, count| {
        *end += count;
        Some(*end)
    });
    ends.into_iter().position(|end| command < end)
}

fn commands(look: &Look, asking: bool) -> Vec<Command> {
    let commands = look.commands();
    if !asking {
        return commands;
    }
    commands.into_iter().flat_map(|command| [Command::new("ASKING", []), command]).collect()
}
