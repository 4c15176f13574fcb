//! One AMQP connection with its channels: asks about many queues in one pipelined burst.
//!
//! A passive declare of a queue that is missing makes the broker close the channel, and with it all that was asked on
//! it and not yet answered. Answers come in the order of the questions, so the first without one is at fault; what a
//! burst left unanswered is asked again. Nobody listens between bursts but [`Link::keep`], so a broker that talks then
//! talks to the kernel.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::time::timeout;

use super::{
    dial::Opened,
    frame::{Broken, Frame, Frames},
    method::{self, Goodbye, Said},
};
use crate::{backend::Account, limits, task};

/// For a polite goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// How a connection asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    pub channels: u16,
    /// Questions under way on each channel.
    pub at_once: usize,
}

/// Hears how many messages are ready in a queue.
pub(super) type TellReady<'t> = &'t (dyn Fn(&Arc<str>, u32) + Send + Sync);

/// Queues that the broker refuses to tell of, and what it said.
pub(super) type Refused = Vec<(Arc<str>, Goodbye)>;

/// A live connection.
pub(super) struct Link {
    frames: Frames,
    heartbeat: Duration,
    manner: Manner,
    /// On which declares are counted.
    account: Account,
    channels: Vec<Channel>,
}

struct Channel {
    number: u16,
    state: State,
    /// To be asked in this burst.
    share: VecDeque<Arc<str>>,
    /// Asked, in that order.
    unanswered: VecDeque<Arc<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Opening,
    Open,
}

impl Link {
    pub fn new(opened: Opened, manner: Manner, account: Account) -> Self {
        let Opened { frames, channel_max, heartbeat } = opened;
        let channels = (1..=manner.channels.min(channel_max)).map(Channel::new).collect();
        Self { frames, heartbeat, manner, account, channels }
    }

    /// How often [`keep`](Self::keep) is due.
    pub fn beat(&self) -> Duration {
        self.heartbeat / 2
    }

    /// Asks about `queues` and tells each number of ready messages as it comes. The caller sets the deadline, and
    /// gives this link up when that passes, or when this fails.
    pub async fn burst(&mut self, queues: &[Arc<str>], tell: TellReady<'_>) -> Result<Refused, Broken> {
        let mut refused = Vec::new();
        self.frames.allow(limits::AMQP_BURST + limits::AMQP_ANSWER.saturating_mul(queues.len()));
        self.share_out(queues);
        loop {
            for channel in &mut self.channels {
                let asked = channel.ask(self.manner.at_once, &mut self.frames);
                self.account.sent(asked);
            }
            if self.channels.iter().all(Channel::is_done) {
                self.frames.rest();
                return Ok(refused);
            }
            let frame = self.frames.next().await?;
            refused.extend(self.hear(&frame, tell)?);
        }
    }

    /// No more channels than there are questions.
    fn share_out(&mut self, queues: &[Arc<str>]) {
        let each = queues.len().div_ceil(self.channels.len().max(1)).max(1);
        for (channel, share) in self.channels.iter_mut().zip(queues.chunks(each)) {
            channel.share = share.iter().cloned().collect();
        }
    }

    /// The queue that is refused, if this says so.
    fn hear(&mut self, frame: &Frame, tell: TellReady<'_>) -> Result<Option<(Arc<str>, Goodbye)>, Broken> {
        let Frame::Method { channel, payload } = frame else { return Ok(None) };
        let said = method::decode(payload).ok_or(Broken::Unexpected)?;
        if *channel == 0 {
            return match said {
                Said::Blocked => Ok(None),
                Said::Close(goodbye) => Err(Broken::Closed(goodbye)),
                _ => Err(Broken::Unexpected),
            };
        }
        let number = *channel;
        let channel = self.channels.iter_mut().find(|channel| channel.number == number).ok_or(Broken::Unexpected)?;
        match (said, channel.state) {
            (Said::ChannelOpened, State::Opening) => channel.state = State::Open,
            (Said::Declared { queue, ready }, State::Open) => {
                let asked = channel.unanswered.pop_front().ok_or(Broken::Unexpected)?;
                if asked.as_bytes() != queue.as_slice() {
                    return Err(Broken::Unexpected);
                }
                tell(&asked, ready);
            }
            (Said::ChannelClose(goodbye), State::Opening | State::Open) => {
                self.frames.say(number, &method::channel_close_ok());
                channel.state = State::Closed;
                channel.share.clear();
                let at_fault = channel.unanswered.pop_front();
                channel.unanswered.clear();
                // Closed without having been asked anything: that is about all of us.
                return at_fault.map(|queue| Some((queue, goodbye.clone()))).ok_or(Broken::Closed(goodbye));
            }
            _ => return Err(Broken::Unexpected),
        }
        Ok(None)
    }

    /// Between bursts: gives a sign of life, and hears what has come. The connection is gone when this fails.
    pub fn keep(&mut self) -> Result<(), Broken> {
        self.frames.say_heartbeat();
        self.frames.allow(limits::AMQP_IDLE);
        while let Some(frame) = self.frames.next().now_or_never() {
            self.hear(&frame?, &|_, _| {})?;
        }
        self.frames.rest();
        if self.frames.heard().elapsed() > self.heartbeat * 2 { Err(Broken::Silent) } else { Ok(()) }
    }

    /// Says goodbye, away from whoever is in a hurry.
    pub fn retire(mut self) {
        // At the very end there is nobody left to say it.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        task::detach(async move {
            self.frames.allow(limits::AMQP_IDLE);
            self.frames.say(0, &method::close());
            let until_closed = async {
                while let Ok(frame) = self.frames.next().await
                    && !is_closed(&frame)
                {}
            };
            timeout(GOODBYE, until_closed).await.ok();
        });
    }
}

fn is_closed(frame: &Frame) -> bool {
    matches!(frame, Frame::Method { channel: 0, payload } if method::decode(payload) == Some(Said::Closed))
}

impl Channel {
    fn new(number: u16) -> Self {
        Self { number, state: State::Closed, share: VecDeque::new(), unanswered: VecDeque::new() }
    }

    /// Whether it has no part in this burst any more.
    fn is_done(&self) -> bool {
        self.share.is_empty() && self.unanswered.is_empty()
    }

    /// Asks as much as may be under way; says how much that is.
    fn ask(&mut self, at_once: usize, frames: &mut Frames) -> u64 {
        let mut asked = 0;
        if self.state == State::Closed && !self.share.is_empty() {
            frames.say(self.number, &method::channel_open());
            self.state = State::Opening;
        }
        while self.state == State::Open
            && self.unanswered.len() < at_once
            && let Some(queue) = self.share.pop_front()
        {
            frames.say(self.number, &method::declare(&queue));
            self.unanswered.push_back(queue);
            asked += 1;
        }
        asked
    }
}
