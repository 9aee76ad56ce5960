//! Fonts of the system: one that covers Chinese, and the sans-serif for the rest where there is one.
//!
//! Files are mapped, not copied (the Chinese one has some 20 MB). No font that covers the words is a refusal, never boxes.

use std::sync::Arc;

use egui::{FontData, FontDefinitions, FontFamily};
use fontique::{
    Collection, CollectionOptions, FallbackKey, GenericFamily, Language, Query, QueryFamily, QueryFont, QueryStatus, Script,
    SourceCache,
};

/// The window cannot say 签章 with the fonts of this system.
#[derive(Debug)]
pub struct NoChineseFont;

impl std::fmt::Display for NoChineseFont {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no font on this system covers Chinese; install one (Debian: fonts-noto-cjk)")
    }
}

/// Font definitions for egui: sans-serif first, Chinese behind it.
pub fn system_fonts() -> Result<FontDefinitions, NoChineseFont> {
    let mut collection = Collection::new(CollectionOptions { shared: false, system_fonts: true });
    let mut cache = SourceCache::default();
    let sans = find(&mut collection, &mut cache, false, 'A');
    let chinese = find(&mut collection, &mut cache, true, '签');
    let chinese = chinese.or_else(|| find_any(&mut collection, &mut cache, '签')).ok_or(NoChineseFont)?;
    let mut fonts = FontDefinitions::empty();
    let mut names = Vec::new();
    for (name, font) in [("sans", sans), ("chinese", Some(chinese))] {
        let Some(font) = font else { continue };
        // The window lives as long as the process: the mapping is given away for good.
        let blob: &'static fontique::Blob<u8> = Box::leak(Box::new(font.blob));
        let bytes: &'static [u8] = blob.as_ref();
        let mut data = FontData::from_static(bytes);
        data.index = font.index;
        fonts.font_data.insert(name.to_owned(), Arc::new(data));
        names.push(name.to_owned());
    }
    fonts.families.insert(FontFamily::Proportional, names.clone());
    fonts.families.insert(FontFamily::Monospace, names);
    Ok(fonts)
}

fn find(collection: &mut Collection, cache: &mut SourceCache, chinese: bool, sample: char) -> Option<QueryFont> {
    let mut query = collection.query(cache);
    if chinese {
        let language = Language::parse("zh-Hans").ok();
        query.set_fallbacks(FallbackKey::new(Script::from_bytes(*b"Hani"), language.as_ref()));
    } else {
        query.set_families([QueryFamily::Generic(GenericFamily::SansSerif)]);
    }
    first_with(query, sample)
}

/// The first family at all that has this character: where the system names no font for Chinese, one may be there all the same.
fn find_any(collection: &mut Collection, cache: &mut SourceCache, sample: char) -> Option<QueryFont> {
    let families: Vec<String> = collection.family_names().map(str::to_owned).collect();
    families.iter().find_map(|family| {
        let mut query = collection.query(cache);
        query.set_families([QueryFamily::Named(family)]);
        first_with(query, sample)
    })
}

fn first_with(mut query: Query<'_>, sample: char) -> Option<QueryFont> {
    let mut found = None;
    query.matches_with(|font| {
        if font.charmap().is_some_and(|map| map.map(u32::from(sample)).is_some_and(|glyph| glyph != 0)) {
            found = Some(font.clone());
            QueryStatus::Stop
        } else {
            QueryStatus::Continue
        }
    });
    found
}
