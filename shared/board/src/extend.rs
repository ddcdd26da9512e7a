//! What an application adds: pages, cards of the overview, and what it knows of jobs and groups.

use std::{borrow::Cow, collections::HashMap};

use axum::Router;
use futures::future::{BoxFuture, ready};
use gristmill_queue::{ClientId, GroupId, JobDetail};

use crate::{Error, PageBody, Visit};

/// A section of an application's own: a page with what is below it, or only cards of the overview. Each function has a default,
/// so that only what is wanted is written.
///
/// ```
/// use futures::future::BoxFuture;
/// use gristmill_board::{Entry, Error, Page, PageBody, Visit};
///
/// struct Orders;
///
/// impl Page for Orders {
///     fn entry(&self) -> Option<Entry> {
///         Some(Entry::new("orders", "Orders").under("Shop").with_key('r'))
///     }
///
///     fn show<'a>(&'a self, visit: &'a Visit) -> BoxFuture<'a, Result<Option<PageBody>, Error>> {
///         Box::pin(async move {
///             Ok(match visit.rest()[..] {
///                 [] => Some(PageBody::html("Orders", "<h1>Orders</h1><p class=\"empty\">No order.</p>")),
///                 _ => None,
///             })
///         })
///     }
/// }
/// ```
pub trait Page: Send + Sync + 'static {
    /// Where it stands in the navigation, and at which address. None: it has only cards.
    fn entry(&self) -> Option<Entry> {
        None
    }

    /// What stands at its address, or at one below it: the page's inside, which is rendered again while somebody looks, and
    /// sent when it differs. None: nothing is there. It may take five seconds.
    ///
    /// # Errors
    /// What keeps it from being made. Who looks is told that an engine does not answer; the log says which error it was.
    fn show<'a>(&'a self, visit: &'a Visit) -> BoxFuture<'a, Result<Option<PageBody>, Error>> {
        let _ = visit;
        Box::pin(ready(Ok(None)))
    }

    /// Routes that are no pages, below the base: a file, for example. Only who was let in reaches them; a handler can take
    /// [`Person`](crate::Person) and [`Frames`](crate::Frames) as arguments.
    fn routes(&self) -> Router {
        Router::new()
    }

    /// Routes of buttons, below `/act`: see [`actions`](crate::actions).
    fn actions(&self) -> Router {
        Router::new()
    }

    /// What somebody should look at: the overview says it first.
    ///
    /// # Errors
    /// What keeps it from being known.
    fn attention(&self) -> BoxFuture<'_, Result<Vec<Attention>, Error>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    /// What it adds to the overview.
    ///
    /// # Errors
    /// What keeps it from being made.
    fn cards<'a>(&'a self, visit: &'a Visit) -> BoxFuture<'a, Result<Cards, Error>> {
        let _ = visit;
        Box::pin(ready(Ok(Cards::default())))
    }
}

/// Where a page stands in the navigation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its address below the base, one word.
    pub path: Cow<'static, str>,
    /// What it is called.
    pub label: Cow<'static, str>,
    /// The heading that it stands under; none: with the overview.
    pub section: Option<Cow<'static, str>>,
    /// The key that leads to it after `g`.
    pub key: Option<char>,
}

impl Entry {
    /// With the overview, without a key.
    #[must_use]
    pub fn new(path: impl Into<Cow<'static, str>>, label: impl Into<Cow<'static, str>>) -> Self {
        Self { path: path.into(), label: label.into(), section: None, key: None }
    }

    /// Under this heading.
    #[must_use]
    pub fn under(self, section: impl Into<Cow<'static, str>>) -> Self {
        Self { section: Some(section.into()), ..self }
    }

    /// With this key.
    #[must_use]
    pub fn with_key(self, key: char) -> Self {
        Self { key: Some(key), ..self }
    }
}

/// Something that somebody should look at.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Attention {
    /// What is wrong.
    pub what: String,
    /// Where to look, below the base: `/workers`.
    pub to: Cow<'static, str>,
    /// What else is wrong may follow from this: it comes first.
    pub is_cause: bool,
}

impl Attention {
    /// Something in itself.
    #[must_use]
    pub fn new(what: impl Into<String>, to: impl Into<Cow<'static, str>>) -> Self {
        Self { what: what.into(), to: to.into(), is_cause: false }
    }

    /// Something from which other things follow.
    #[must_use]
    pub fn cause(what: impl Into<String>, to: impl Into<Cow<'static, str>>) -> Self {
        Self { is_cause: true, ..Self::new(what, to) }
    }
}

/// What a page adds to the overview, as HTML.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Cards {
    /// Tiles among those of now: [`Samples::tile`](crate::Samples::tile), or `<article class="tile">…</article>`.
    pub tiles: String,
    /// Sections below them: `<section><h2>…</h2>…</section>`.
    pub sections: String,
}

impl Cards {
    /// With a tile more.
    #[must_use]
    pub fn with_tile(mut self, html: impl AsRef<str>) -> Self {
        self.tiles += html.as_ref();
        self
    }

    /// With a section more.
    #[must_use]
    pub fn with_section(mut self, html: impl AsRef<str>) -> Self {
        self.sections += html.as_ref();
        self
    }
}

/// The names of clients: those on whose behalf jobs are.
pub type ClientNames = Vec<(ClientId, String)>;

/// What an application knows of jobs and groups, and the queue does not. Each function has a default: nothing is known.
pub trait Owners: Send + Sync + 'static {
    /// The names of those on whose behalf jobs are. None: jobs are on nobody's behalf, and no page speaks of it.
    ///
    /// # Errors
    /// What keeps it from being known.
    fn clients(&self) -> BoxFuture<'_, Result<Option<ClientNames>, Error>> {
        Box::pin(ready(Ok(None)))
    }

    /// What a job is of.
    ///
    /// # Errors
    /// What keeps it from being known.
    fn of_job<'a>(&'a self, job: &'a JobDetail) -> BoxFuture<'a, Result<Option<Owner>, Error>> {
        let _ = job;
        Box::pin(ready(Ok(None)))
    }

    /// What groups are of, by their ids.
    ///
    /// # Errors
    /// What keeps it from being known.
    fn of_groups<'a>(&'a self, groups: &'a [GroupId]) -> BoxFuture<'a, Result<HashMap<GroupId, Owner>, Error>> {
        let _ = groups;
        Box::pin(ready(Ok(HashMap::new())))
    }

    /// Who still needs this job, by name (`order 7`): it is not cancelled or discarded by itself then.
    fn needs_job(&self, job: &JobDetail) -> Option<String> {
        let _ = job;
        None
    }

    /// Who still needs this group, by name: it is not cancelled, and its members are not run again, by itself then.
    ///
    /// # Errors
    /// What keeps it from being known.
    fn needs_group(&self, group: GroupId) -> BoxFuture<'_, Result<Option<String>, Error>> {
        let _ = group;
        Box::pin(ready(Ok(None)))
    }

    /// The names of jobs that are left out where many are cancelled or discarded at once, but for members of groups that have
    /// ended.
    fn needed_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// Queues that can be paused and limited before they have a job, a worker or a limit.
    fn queues(&self) -> Vec<String> {
        Vec::new()
    }

    /// What a queue's fair keys are, in one word.
    fn fair_key_of(&self, queue: &str) -> &str {
        let _ = queue;
        "key"
    }
}

/// Nothing is known.
pub(crate) struct Nobody;

impl Owners for Nobody {}

/// What a job or a group is of.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Owner {
    /// In a few words: `order 7`.
    pub label: String,
    /// Its page, below the base: `/orders/7`.
    pub to: Option<String>,
    /// What kind of thing it is, in a word or two: `order`.
    pub kind: String,
    /// Which part of it, and the like.
    pub note: String,
    /// On whose behalf it is.
    pub client: Option<String>,
}

impl Owner {
    /// A thing of this kind, called `label`.
    #[must_use]
    pub fn new(kind: impl Into<String>, label: impl Into<String>) -> Self {
        Self { kind: kind.into(), label: label.into(), ..Self::default() }
    }

    /// With a page, below the base.
    #[must_use]
    pub fn at(self, to: impl Into<String>) -> Self {
        Self { to: Some(to.into()), ..self }
    }

    /// With a note behind it: which part of it a job is about.
    #[must_use]
    pub fn noted(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    /// On somebody's behalf.
    #[must_use]
    pub fn of(self, client: impl Into<String>) -> Self {
        Self { client: Some(client.into()), ..self }
    }
}
