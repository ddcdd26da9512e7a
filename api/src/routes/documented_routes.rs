use std::collections::BTreeMap;

use axum::Router;
use utoipa::openapi::{OpenApi, RefOr, Schema};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::app::AppState;

/// Routes with their description. Two shapes under one name would be one of them for everybody, so that is refused.
#[derive(Default)]
pub(super) struct DocumentedRoutes {
    router: OpenApiRouter<AppState>,
    shapes: BTreeMap<String, RefOr<Schema>>,
}

impl DocumentedRoutes {
    pub(super) fn of(document: OpenApi) -> Self {
        let shapes = document.components.as_ref().map(|components| components.schemas.clone()).unwrap_or_default();
        Self { router: OpenApiRouter::with_openapi(document), shapes }
    }

    /// # Panics
    /// When a schema has the name of another one: give it its own by `#[schema(as = …)]`.
    pub(super) fn routes(mut self, (schemas, paths, methods): UtoipaMethodRouter<AppState>) -> Self {
        schemas.iter().for_each(|(name, shape)| self.note(name, shape));
        self.router = self.router.routes((schemas, paths, methods));
        self
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        other.shapes.iter().for_each(|(name, shape)| self.note(name, shape));
        self.router = self.router.merge(other.router);
        self
    }

    /// Puts a layer around the routes.
    pub(super) fn layered(mut self, layer: impl FnOnce(OpenApiRouter<AppState>) -> OpenApiRouter<AppState>) -> Self {
        self.router = layer(self.router);
        self
    }

    /// Changes the description.
    pub(super) fn told(mut self, change: impl FnOnce(&mut OpenApi)) -> Self {
        change(self.router.get_openapi_mut());
        self
    }

    pub(super) fn into_router(self) -> Router<AppState> {
        self.router.split_for_parts().0
    }

    pub(super) fn into_document(self) -> OpenApi {
        self.router.into_openapi()
    }

    fn note(&mut self, name: &str, shape: &RefOr<Schema>) {
        let known = self.shapes.entry(name.to_owned()).or_insert_with(|| shape.clone());
        assert!(known == shape, "two schemas have the name {name}");
    }
}
