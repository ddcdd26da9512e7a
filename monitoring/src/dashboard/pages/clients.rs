//! Which client a page is about.

use gristmill_platform::keys;

use crate::dashboard::{
    app::App,
    page::{Asked, Fault},
};

/// A choice of clients: the one that was asked for, else the first one.
pub(super) struct Clients {
    pub(super) all: Vec<(i32, String)>,
    pub(super) chosen: Option<i32>,
}

impl Clients {
    pub(super) async fn of(app: &App, asked: &Asked) -> Result<Self, Fault> {
        let all = keys::clients(&app.pool).await?;
        let wanted = asked.parse::<i32>("client").filter(|id| all.iter().any(|(known, _)| known == id));
        let chosen = wanted.or_else(|| all.first().map(|(id, _)| *id));
        Ok(Self { all, chosen })
    }

    pub(super) fn is_chosen(&self, id: &i32) -> bool {
        self.chosen == Some(*id)
    }
}
