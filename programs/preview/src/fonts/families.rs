//! Names of font families: which are the same font, and which stand in for which.

use super::Wanted;

/// Names of one font: Chinese and English, and those that producers write.
const SAME: &[&[&str]] = &[
    &["宋体", "SimSun", "STZhongsong", "宋体-简"],
    &["新宋体", "NSimSun"],
    &["黑体", "SimHei"],
    &["楷体", "KaiTi", "楷体_GB2312", "KaiTi_GB2312"],
    &["仿宋", "FangSong", "仿宋_GB2312", "FangSong_GB2312"],
    &["微软雅黑", "Microsoft YaHei", "MicrosoftYaHei"],
    &["等线", "DengXian"],
    &["隶书", "LiSu"],
    &["华文宋体", "STSong", "STSongti-SC-Regular"],
    &["华文楷体", "STKaiti"],
    &["华文仿宋", "STFangsong"],
    &["华文黑体", "STHeiti"],
    &["Courier New", "CourierNewPSMT"],
    &["Times New Roman", "TimesNewRomanPSMT"],
    &["Arial", "ArialMT"],
];

const SONG: &[&str] = &[
    "SimSun",
    "NSimSun",
    "Noto Serif CJK SC",
    "Source Han Serif SC",
    "Source Han Serif CN",
    "Noto Serif SC",
    "STSong",
    "AR PL UMing CN",
    "Noto Sans CJK SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
];
const HEI: &[&str] = &[
    "SimHei",
    "Microsoft YaHei",
    "DengXian",
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "Noto Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
];
const KAI: &[&str] = &["KaiTi", "STKaiti", "AR PL UKai CN", "AR PL KaitiM GB", "LXGW WenKai"];
const FANGSONG: &[&str] = &["FangSong", "STFangsong"];
const FIXED: &[&str] =
    &["Courier New", "Liberation Mono", "Nimbus Mono PS", "Cousine", "DejaVu Sans Mono", "Noto Sans Mono CJK SC"];
const ROMAN: &[&str] = &["Times New Roman", "Liberation Serif", "Nimbus Roman", "Tinos", "DejaVu Serif"];
const GROTESQUE: &[&str] = &["Arial", "Liberation Sans", "Nimbus Sans", "Arimo", "DejaVu Sans"];

/// Whether two names mean one font.
pub(super) fn same(a: &str, b: &str) -> bool {
    let (a, b) = (folded(a), folded(b));
    a == b || SAME.iter().any(|names| [&a, &b].into_iter().all(|name| names.iter().any(|same| folded(same) == *name)))
}

/// Without case, spaces and hyphens.
fn folded(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

/// Families that stand in for what is wanted, the nearest first.
pub(super) fn kin(wanted: &Wanted) -> Vec<&'static str> {
    let name = wanted.names.join(" ").to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let lists: &[&[&str]] =
        if has(&["courier", "mono", "consol", "ocr"]) || wanted.fixed && !has(&["song", "宋", "hei", "黑", "kai", "楷"]) {
            &[FIXED, SONG]
        } else if has(&["楷", "kai"]) {
            &[KAI, SONG]
        } else if has(&["仿宋", "fang"]) {
            &[FANGSONG, SONG]
        } else if has(&["黑", "hei", "雅", "gothic", "等线", "deng", "圆", "yuan"]) {
            &[HEI, SONG]
        } else if has(&["times", "roman", "georgia", "cambria", "garamond"]) {
            &[ROMAN, SONG]
        } else if has(&["arial", "helvetica", "verdana", "tahoma", "calibri", "sans", "segoe"]) {
            &[GROTESQUE, HEI, SONG]
        } else if wanted.serif == Some(false) {
            &[HEI, SONG]
        } else {
            &[SONG, HEI]
        };
    lists.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_and_english_names_are_one_font() {
        assert!(same("宋体", "simsun"));
        assert!(same("Courier New", "CourierNew"));
        assert!(!same("宋体", "黑体"));
    }

    #[test]
    fn each_kind_has_its_stand_in() {
        let first = |name: &str| kin(&Wanted { names: vec![name.to_owned()], ..Wanted::default() })[0];
        assert_eq!(first("方正小标宋"), "SimSun");
        assert_eq!(first("方正黑体"), "SimHei");
        assert_eq!(first("楷体"), "KaiTi");
        assert_eq!(first("仿宋_GB2312"), "FangSong");
        assert_eq!(first("Courier New"), "Courier New");
    }
}
