//! One connection by whichever protocol: AMQP or the management API.

use super::{amqp::AmqpClient, management::ManagementClient};
use crate::backend::rabbitmq::question::{Askers, Question};

/// By which protocol.
pub(super) enum Wire {
    Amqp(Box<AmqpClient>),
    Management(Box<ManagementClient>),
}

impl Wire {
    /// Asks all `questions` and tells each answer as it comes.
    pub async fn look(&self, questions: Vec<Question>, askers: &dyn Askers) {
        match self {
            Self::Amqp(amqp) => amqp.look(questions, askers).await,
            Self::Management(api) => api.look(questions, askers).await,
        }
    }
}
