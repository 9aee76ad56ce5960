//! Which face draws a character, and its outline.
//!
//! Order: the embedded face; an installed face of that name; a face of the same kind (Song, Hei, Kai, typewriter); any face that has
//! the character. Whoever draws tells which was used instead, and draws a box where none has the character.

mod bare_cff;
mod families;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fontdb::{Database, FaceInfo, ID};
use skrifa::instance::{LocationRef, Size};
use skrifa::outline::{DrawSettings, OutlinePen};
use skrifa::{FontRef, GlyphId, MetadataProvider as _};
use tiny_skia::PathBuilder;

/// Segments of one glyph. The most ornate Chinese character has some 2 000.
const MAX_SEGMENTS: usize = 50_000;
/// Bytes of a font file. The largest Chinese collections have 100 MB.
const MAX_FILE: u64 = 160 << 20;
/// Faces that are searched for one character beyond those of its kind.
const MAX_SEARCHED: usize = 400;
/// Glyphs whose outlines are kept of one face.
const MAX_KEPT: usize = 20_000;

/// A face: one font of a file.
pub struct Face {
    data: Arc<Vec<u8>>,
    index: u32,
    /// Its family, as findings name it.
    pub name: String,
    /// Heavy by itself.
    pub bold: bool,
    /// Slanted by itself.
    pub italic: bool,
    /// Glyph by CID, where documents name glyphs so.
    cids: Option<HashMap<u32, u32>>,
    glyphs: Mutex<HashMap<u32, Option<Arc<tiny_skia::Path>>>>,
}

impl Face {
    /// The face in an embedded font file: TrueType, OpenType, or a bare CFF program.
    pub fn embedded(bytes: Vec<u8>, name: &str) -> Result<Arc<Self>, String> {
        let (bytes, cids) = if bytes.starts_with(&[1, 0]) {
            let wrapped = bare_cff::wrapped(&bytes).ok_or("a CFF program that is cut")?;
            (wrapped.file, wrapped.cids)
        } else {
            (bytes, None)
        };
        let face = Self { cids, ..Self::new(Arc::new(bytes), 0, name.to_owned(), false, false) };
        match face.font() {
            Some(font) if font.outline_glyphs().format().is_some() => Ok(Arc::new(face)),
            Some(_) => Err("a font without outlines".to_owned()),
            None => Err("not a TrueType or OpenType font".to_owned()),
        }
    }

    fn new(data: Arc<Vec<u8>>, index: u32, name: String, bold: bool, italic: bool) -> Self {
        Self { data, index, name, bold, italic, cids: None, glyphs: Mutex::default() }
    }

    /// The file and the index in it, for a renderer with its own font code.
    pub fn file(&self) -> (Arc<Vec<u8>>, u32) {
        (self.data.clone(), self.index)
    }

    /// The glyph of a character, if it has one.
    pub fn glyph(&self, character: char) -> Option<u32> {
        self.font()?.charmap().map(character).map(GlyphId::to_u32).filter(|glyph| *glyph != 0)
    }

    /// How far a glyph advances, in em.
    pub fn advance(&self, glyph: u32) -> Option<f32> {
        let font = self.font()?;
        font.glyph_metrics(Size::new(1.0), LocationRef::default()).advance_width(GlyphId::new(glyph))
    }

    /// The outline of a glyph, 1 em high, y upwards; `None` for a blank or a missing one.
    pub fn outline(&self, glyph: u32) -> Option<Arc<tiny_skia::Path>> {
        if let Some(known) = self.glyphs.lock().unwrap_or_else(PoisonError::into_inner).get(&glyph) {
            return known.clone();
        }
        let outline = self.draw(glyph).map(Arc::new);
        let mut glyphs = self.glyphs.lock().unwrap_or_else(PoisonError::into_inner);
        if glyphs.len() < MAX_KEPT {
            glyphs.insert(glyph, outline.clone());
        }
        outline
    }

    /// The glyph that a document names by a number.
    pub fn numbered(&self, number: u32) -> Option<u32> {
        let glyph = match &self.cids {
            Some(cids) => *cids.get(&number)?,
            None => number,
        };
        self.font()?.outline_glyphs().get(GlyphId::new(glyph)).map(|_| glyph)
    }

    fn draw(&self, glyph: u32) -> Option<tiny_skia::Path> {
        let font = self.font()?;
        let mut pen = Pen { path: PathBuilder::new(), segments: 0 };
        let settings = DrawSettings::unhinted(Size::new(1.0), LocationRef::default());
        font.outline_glyphs().get(GlyphId::new(glyph))?.draw(settings, &mut pen).ok()?;
        pen.path.finish()
    }

    fn font(&self) -> Option<FontRef<'_>> {
        FontRef::from_index(&self.data, self.index).ok()
    }
}

struct Pen {
    path: PathBuilder,
    segments: usize,
}

impl Pen {
    fn room(&mut self) -> bool {
        self.segments += 1;
        self.segments <= MAX_SEGMENTS
    }
}

impl OutlinePen for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        if self.room() {
            self.path.move_to(x, y);
        }
    }
    fn line_to(&mut self, x: f32, y: f32) {
        if self.room() {
            self.path.line_to(x, y);
        }
    }
    fn quad_to(&mut self, cx: f32, cy: f32, x: f32, y: f32) {
        if self.room() {
            self.path.quad_to(cx, cy, x, y);
        }
    }
    fn curve_to(&mut self, ax: f32, ay: f32, bx: f32, by: f32, x: f32, y: f32) {
        if self.room() {
            self.path.cubic_to(ax, ay, bx, by, x, y);
        }
    }
    fn close(&mut self) {
        self.path.close();
    }
}

/// What a document wants of a font that it does not bring.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Wanted {
    /// Names by which it may be installed, the best first.
    pub names: Vec<String>,
    /// Heavy.
    pub bold: bool,
    /// Slanted.
    pub italic: bool,
    /// The document says that it has serifs, or has not.
    pub serif: Option<bool>,
    /// All characters of one width.
    pub fixed: bool,
}

/// The face for a character, and whether it is the one that was wanted.
#[derive(Clone)]
pub struct Choice {
    /// The face.
    pub face: Arc<Face>,
    /// The glyph in it.
    pub glyph: u32,
    /// It has the wanted name.
    pub exact: bool,
}

/// The fonts of this system; none by default. Their folders are read when the first is wanted, their files when they are used.
#[derive(Default)]
pub struct Fonts {
    folders: Vec<PathBuf>,
    index: Option<Database>,
    faces: HashMap<ID, Option<Arc<Face>>>,
    files: HashMap<PathBuf, Option<Arc<Vec<u8>>>>,
    /// Faces for a wish, the best first, with whether each has the wanted name.
    ranked: HashMap<Wanted, Arc<Vec<(ID, bool)>>>,
    /// The face beyond those ranked that has a character.
    rare: HashMap<char, Option<ID>>,
}

impl Fonts {
    /// The folders in which this system keeps fonts; some may not be there.
    pub fn folders() -> Vec<PathBuf> {
        #[cfg(unix)]
        {
            let mut folders = vec![PathBuf::from("/usr/share/fonts"), PathBuf::from("/usr/local/share/fonts")];
            if let Some(home) = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute()) {
                folders.extend([home.join(".local/share/fonts"), home.join(".fonts")]);
            }
            folders
        }
        #[cfg(windows)]
        {
            let below = |variable, folder| std::env::var_os(variable).map(|root| PathBuf::from(root).join(folder));
            [below("SystemRoot", "Fonts"), below("LOCALAPPDATA", "Microsoft\\Windows\\Fonts")].into_iter().flatten().collect()
        }
    }

    /// The fonts in these folders and those below them.
    pub fn of_folders(folders: Vec<PathBuf>) -> Self {
        Self { folders, index: None, faces: HashMap::new(), files: HashMap::new(), ranked: HashMap::new(), rare: HashMap::new() }
    }

    /// The face for a character that no embedded font has. `None` when nothing on this system has it.
    pub fn choose(&mut self, wanted: &Wanted, character: char) -> Option<Choice> {
        for (id, exact) in self.rank(wanted).iter() {
            if let Some(face) = self.face(*id)
                && let Some(glyph) = face.glyph(character)
            {
                return Some(Choice { face, glyph, exact: *exact });
            }
        }
        let id = match self.rare.get(&character) {
            Some(known) => *known,
            None => {
                let index = self.index();
                let has = |face: &&FaceInfo| {
                    let glyph =
                        |data: &[u8], at: u32| FontRef::from_index(data, at).ok().and_then(|f| f.charmap().map(character));
                    index.with_face_data(face.id, glyph).flatten().is_some()
                };
                let found = index.faces().take(MAX_SEARCHED).find(has).map(|face| face.id);
                self.rare.insert(character, found);
                found
            }
        };
        let face = self.face(id?)?;
        let glyph = face.glyph(character)?;
        Some(Choice { face, glyph, exact: false })
    }

    fn rank(&mut self, wanted: &Wanted) -> Arc<Vec<(ID, bool)>> {
        if let Some(known) = self.ranked.get(wanted) {
            return known.clone();
        }
        let kin = families::kin(wanted);
        let rank = |face: &FaceInfo| {
            let names = || face.families.iter().map(|(name, _)| name.as_str()).chain([face.post_script_name.as_str()]);
            let exact = wanted.names.iter().position(|wanted| names().any(|name| families::same(name, wanted)));
            let family = exact.or_else(|| {
                kin.iter().position(|kin| names().any(|name| families::same(name, kin))).map(|place| place + wanted.names.len())
            })?;
            let weight = if wanted.bold { 700 } else { 400 };
            let style = (face.style != fontdb::Style::Normal) != wanted.italic;
            Some((family, style, face.weight.0.abs_diff(weight), face.stretch.to_number().abs_diff(5), exact.is_some()))
        };
        let mut ranked: Vec<_> =
            self.index().faces().filter_map(|face| Some((rank(face)?, face.post_script_name.clone(), face.id))).collect();
        ranked.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        let ranked = Arc::new(ranked.into_iter().map(|((.., exact), _, id)| (id, exact)).collect());
        self.ranked.insert(wanted.clone(), Arc::clone(&ranked));
        ranked
    }

    fn index(&mut self) -> &Database {
        self.index.get_or_insert_with(|| {
            let mut index = Database::new();
            self.folders.iter().for_each(|folder| index.load_fonts_dir(folder));
            index
        })
    }

    fn face(&mut self, id: ID) -> Option<Arc<Face>> {
        if let Some(known) = self.faces.get(&id) {
            return known.clone();
        }
        let face = self.load(id).map(Arc::new);
        self.faces.insert(id, face.clone());
        face
    }

    fn load(&mut self, id: ID) -> Option<Face> {
        let info = self.index().face(id)?.clone();
        let (fontdb::Source::File(path) | fontdb::Source::SharedFile(path, _)) = &info.source else { return None };
        let data = self.files.entry(path.clone()).or_insert_with(|| read(path).map(Arc::new)).clone()?;
        let name = info.families.first().map_or(info.post_script_name.as_str(), |(name, _)| name).to_owned();
        let (bold, italic) = (info.weight.0 >= 600, info.style != fontdb::Style::Normal);
        Some(Face::new(data, info.index, name, bold, italic))
    }
}

/// Whether two names mean one family.
pub fn is_same_family(a: &str, b: &str) -> bool {
    families::same(a, b)
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let length = std::fs::metadata(path).ok()?.len();
    (length <= MAX_FILE).then(|| std::fs::read(path).ok())?
}
