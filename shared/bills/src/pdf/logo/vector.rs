//! Logos as SVG.

use pdf_writer::{
    Content,
    types::{LineCapStyle, LineJoinStyle},
};
use usvg::{
    ClipPath, FillRule, Group, ImageHrefResolver, LineCap, LineJoin, Node, Options, Paint, PaintOrder, Path, Transform,
    Tree,
    tiny_skia_path::{self, PathSegment},
};

use super::LogoError;
use crate::pdf::compression;

/// Its size, and the operators that draw it, compressed.
pub(super) fn read(file: &[u8]) -> Result<((f32, f32), Vec<u8>), LogoError> {
    let options = Options {
        // what a logo points to is neither read from this machine nor drawn
        image_href_resolver: ImageHrefResolver {
            resolve_data: Box::new(|_, _, _| None),
            resolve_string: Box::new(|_, _| None),
        },
        ..Options::default()
    };
    let tree = Tree::from_data(file, &options)?;
    let mut content = Content::new();
    group(&mut content, tree.root(), 1.0)?;
    let size = (tree.size().width(), tree.size().height());
    Ok((size, compression::kept(&content.finish())))
}

fn group(content: &mut Content, drawn: &Group, opacity: f32) -> Result<(), LogoError> {
    if drawn.mask().is_some() {
        return Err(LogoError::Unsupported("masks"));
    }
    if !drawn.filters().is_empty() {
        return Err(LogoError::Unsupported("filters"));
    }
    let opacity = opacity * drawn.opacity().get();
    content.save_state();
    if let Some(clip) = drawn.clip_path() {
        self::clip(content, clip, drawn.abs_transform())?;
    }
    for node in drawn.children() {
        match node {
            Node::Group(inner) => group(content, inner, opacity)?,
            Node::Path(path) if path.is_visible() => shape(content, path, opacity)?,
            Node::Path(_) => {}
            Node::Image(_) => return Err(LogoError::Unsupported("pictures")),
            Node::Text(_) => return Err(LogoError::Unsupported("texts")),
        }
    }
    content.restore_state();
    Ok(())
}

fn clip(content: &mut Content, clip: &ClipPath, outer: Transform) -> Result<(), LogoError> {
    if let Some(also) = clip.clip_path() {
        self::clip(content, also, outer)?;
    }
    let outer = outer.pre_concat(clip.transform());
    for node in clip.root().children() {
        let Node::Path(path) = node else { return Err(LogoError::Unsupported("clip paths of groups")) };
        if let Some(outline) = path.data().clone().transform(outer.pre_concat(path.abs_transform())) {
            trace(content, &outline);
        }
    }
    content.clip_nonzero();
    content.end_path();
    Ok(())
}

fn shape(content: &mut Content, path: &Path, opacity: f32) -> Result<(), LogoError> {
    let Transform { sx, ky, kx, sy, tx, ty } = path.abs_transform();
    content.save_state();
    content.transform([sx, ky, kx, sy, tx, ty]);
    match path.paint_order() {
        PaintOrder::FillAndStroke => {
            fill(content, path, opacity)?;
            stroke(content, path, opacity)?;
        }
        PaintOrder::StrokeAndFill => {
            stroke(content, path, opacity)?;
            fill(content, path, opacity)?;
        }
    }
    content.restore_state();
    Ok(())
}

fn fill(content: &mut Content, path: &Path, opacity: f32) -> Result<(), LogoError> {
    let Some(fill) = path.fill() else { return Ok(()) };
    let [red, green, blue] = color(fill.paint(), opacity * fill.opacity().get())?;
    content.set_fill_rgb(red, green, blue);
    trace(content, path.data());
    match fill.rule() {
        FillRule::NonZero => content.fill_nonzero(),
        FillRule::EvenOdd => content.fill_even_odd(),
    };
    Ok(())
}

fn stroke(content: &mut Content, path: &Path, opacity: f32) -> Result<(), LogoError> {
    let Some(stroke) = path.stroke() else { return Ok(()) };
    let [red, green, blue] = color(stroke.paint(), opacity * stroke.opacity().get())?;
    content.set_stroke_rgb(red, green, blue);
    content.set_line_width(stroke.width().get());
    content.set_miter_limit(stroke.miterlimit().get());
    content.set_line_cap(match stroke.linecap() {
        LineCap::Butt => LineCapStyle::ButtCap,
        LineCap::Round => LineCapStyle::RoundCap,
        LineCap::Square => LineCapStyle::ProjectingSquareCap,
    });
    content.set_line_join(match stroke.linejoin() {
        LineJoin::Miter | LineJoin::MiterClip => LineJoinStyle::MiterJoin,
        LineJoin::Round => LineJoinStyle::RoundJoin,
        LineJoin::Bevel => LineJoinStyle::BevelJoin,
    });
    content.set_dash_pattern(stroke.dasharray().unwrap_or_default().iter().copied(), stroke.dashoffset());
    trace(content, path.data());
    content.stroke();
    Ok(())
}

/// As it looks on white.
fn color(paint: &Paint, opacity: f32) -> Result<[f32; 3], LogoError> {
    match paint {
        Paint::Color(color) => {
            let on_white = |part: u8| 1.0 - (1.0 - f32::from(part) / 255.0) * opacity;
            Ok([color.red, color.green, color.blue].map(on_white))
        }
        Paint::LinearGradient(_) | Paint::RadialGradient(_) => Err(LogoError::Unsupported("gradients")),
        Paint::Pattern(_) => Err(LogoError::Unsupported("patterns")),
    }
}

fn trace(content: &mut Content, path: &tiny_skia_path::Path) {
    let (mut x, mut y) = (0.0, 0.0);
    for segment in path.segments() {
        match segment {
            PathSegment::MoveTo(to) => {
                content.move_to(to.x, to.y);
                (x, y) = (to.x, to.y);
            }
            PathSegment::LineTo(to) => {
                content.line_to(to.x, to.y);
                (x, y) = (to.x, to.y);
            }
            PathSegment::QuadTo(by, to) => {
                // the same curve with two control points
                let near = |end: f32, by: f32| end + (by - end) * 2.0 / 3.0;
                content.cubic_to(near(x, by.x), near(y, by.y), near(to.x, by.x), near(to.y, by.y), to.x, to.y);
                (x, y) = (to.x, to.y);
            }
            PathSegment::CubicTo(first, second, to) => {
                content.cubic_to(first.x, first.y, second.x, second.y, to.x, to.y);
                (x, y) = (to.x, to.y);
            }
            PathSegment::Close => {
                content.close_path();
            }
        }
    }
}
