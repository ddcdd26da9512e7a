//! Which client a page is about.

use gristmill_board::{Error, PageQuery};
use gristmill_core::ClientId;
use gristmill_platform::keys;

use crate::dashboard::app::App;

/// A choice of clients: the one that was asked for, else the first one.
#[derive(Default)]
pub(super) struct Clients {
    pub(super) all: Vec<(ClientId, String)>,
    pub(super) chosen: Option<ClientId>,
    /// All together can be chosen too.
    pub(super) or_all: bool,
}

impl Clients {
    /// The one that was asked for, else all of them.
    pub(super) async fn one_or_all(app: &App, asked: &PageQuery) -> Result<Self, Error> {
        let clients = Self::of(app, asked).await?;
        let chosen = clients.chosen.filter(|id| asked.value::<ClientId>("client") == Some(*id));
        Ok(Self { chosen, or_all: true, ..clients })
    }

    pub(super) async fn of(app: &App, asked: &PageQuery) -> Result<Self, Error> {
        let mut all = keys::clients(&app.pool).await?;
        all.sort_by_cached_key(|(id, name)| (name.to_lowercase(), *id));
        let wanted = asked.value::<ClientId>("client").filter(|id| all.iter().any(|(known, _)| known == id));
        let chosen = wanted.or_else(|| all.first().map(|(id, _)| *id));
        Ok(Self { all, chosen, or_all: false })
    }

    pub(super) fn is_chosen(&self, id: &ClientId) -> bool {
        self.chosen == Some(*id)
    }
}
