//! What the preview draws: the page of a package, and the picture of a seal, as text that whoever made the file wrote.

use std::io::{Cursor, Write as _};

use sealagent::preview::PageRequest;
use sealagent_preview::Findings;
use sealagent_preview::fonts::Fonts;
use sealagent_preview::ofd::OfdDocument;
use zip::write::SimpleFileOptions;

/// Longer pages cost time and reach nothing that shorter ones do not.
const MAX_PAGE: usize = 64 << 10;

const ROOT: &str = r#"<ofd:OFD xmlns:ofd="http://www.ofdspec.org/2016"><ofd:DocBody><ofd:DocInfo><ofd:DocID>0</ofd:DocID></ofd:DocInfo><ofd:DocRoot>Document.xml</ofd:DocRoot></ofd:DocBody></ofd:OFD>"#;
const DOCUMENT: &str = r#"<ofd:Document xmlns:ofd="http://www.ofdspec.org/2016"><ofd:CommonData><ofd:PageArea><ofd:PhysicalBox>0 0 100 80</ofd:PhysicalBox></ofd:PageArea><ofd:PublicRes>Res.xml</ofd:PublicRes><ofd:TemplatePage ID="50" BaseLoc="Template.xml"/></ofd:CommonData><ofd:Pages><ofd:Page ID="1" BaseLoc="Page.xml"/></ofd:Pages></ofd:Document>"#;
const RESOURCES: &str = r##"<ofd:Res xmlns:ofd="http://www.ofdspec.org/2016"><ofd:ColorSpaces><ofd:ColorSpace ID="5" Type="GRAY"/></ofd:ColorSpaces><ofd:DrawParams><ofd:DrawParam ID="6" Relative="6" LineWidth="1"><ofd:StrokeColor Value="0 0 9"/></ofd:DrawParam></ofd:DrawParams><ofd:Fonts><ofd:Font ID="9" FontName="宋体"/></ofd:Fonts><ofd:CompositeGraphicUnits><ofd:CompositeGraphicUnit ID="7" Width="9" Height="9"><ofd:Content><ofd:CompositeObject ID="70" Boundary="0 0 9 9" ResourceID="7"/><ofd:PathObject ID="71" Boundary="0 0 9 9" Fill="true"><ofd:AbbreviatedData>M 0 0 L 9 9 L 0 9 C</ofd:AbbreviatedData></ofd:PathObject></ofd:Content></ofd:CompositeGraphicUnit></ofd:CompositeGraphicUnits></ofd:Res>"##;
const TEMPLATE: &str =
    r#"<ofd:Page xmlns:ofd="http://www.ofdspec.org/2016"><ofd:Content><ofd:Layer ID="51"/></ofd:Content></ofd:Page>"#;

/// A page of a package whose other files are good (programs/preview).
pub fn ofd_page(page: &[u8]) {
    if page.len() > MAX_PAGE {
        return;
    }
    let Ok(package) = package(page) else { return };
    let Ok(mut document) = OfdDocument::open(package, &mut Findings::default()) else { return };
    let request = PageRequest { page: 1, dpi: 24.0, max_pixels: 20_000, stamps: Vec::new() };
    // No fonts: what is drawn for a missing glyph is drawn for all.
    let _ = document.draw(&request, &mut Fonts::of_folders(Vec::new()));
}

/// A seal's picture in SVG (programs/preview).
pub fn seal_svg(picture: &[u8]) {
    if picture.len() <= MAX_PAGE {
        let _ = sealagent_preview::svg::draw(picture, 24, 24);
    }
}

fn package(page: &[u8]) -> zip::result::ZipResult<Vec<u8>> {
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let files: [(&str, &[u8]); 5] = [
        ("OFD.xml", ROOT.as_bytes()),
        ("Document.xml", DOCUMENT.as_bytes()),
        ("Res.xml", RESOURCES.as_bytes()),
        ("Template.xml", TEMPLATE.as_bytes()),
        ("Page.xml", page),
    ];
    for (name, bytes) in files {
        zip.start_file(name, stored)?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}
