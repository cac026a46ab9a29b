//! That the Chinese pages say what the English ones do, as far as a program can tell: the same
//! headings, links, blocks of code and tables, and the same words in backticks.
//! `UPDATE_DOCS=1` copies blocks of code; all else is for a person.

use super::{read, root, section};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::ops::Range;
use std::path::{Component, Path};
use std::{env, fs};

/// What only the Chinese pages have.
const GLOSSARY: &str = "docs/zh/glossary.md";

/// Of each row its cells, of each cell what is in backticks.
type Table = Vec<Vec<BTreeSet<String>>>;

/// What stands under a heading, and before the next one.
#[derive(Default)]
struct Section {
    level: Option<HeadingLevel>,
    /// What links to it have behind `#`, as GitHub makes it.
    anchor: String,
    links: Vec<String>,
    words: BTreeSet<String>,
    blocks: Vec<Range<usize>>,
    tables: Vec<Table>,
}

struct Page {
    path: String,
    text: String,
    sections: Vec<Section>,
}

impl Page {
    fn read(path: &str) -> Self {
        let text = read(path);
        let mut sections = vec![Section::default()];
        let (mut in_heading, mut in_cell) = (false, false);
        for (event, range) in Parser::new_ext(&text, Options::ENABLE_TABLES).into_offset_iter() {
            let section = sections.last_mut().unwrap();
            match event {
                Event::Start(Tag::Heading { level, .. }) => {
                    sections.push(Section { level: Some(level), ..Section::default() });
                    in_heading = true;
                }
                Event::End(TagEnd::Heading(_)) => in_heading = false,
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    section.links.push(dest_url.into_string());
                }
                Event::Start(Tag::CodeBlock(_)) => section.blocks.push(range),
                Event::Start(Tag::Table(_)) => section.tables.push(Table::new()),
                Event::Start(Tag::TableHead | Tag::TableRow) => {
                    section.tables.last_mut().unwrap().push(Vec::new());
                }
                Event::Start(Tag::TableCell) => {
                    row(section).push(BTreeSet::new());
                    in_cell = true;
                }
                Event::End(TagEnd::TableCell) => in_cell = false,
                Event::Code(word) => {
                    if in_cell {
                        row(section).last_mut().unwrap().insert(word.to_string());
                    }
                    if in_heading {
                        section.anchor += &anchor(&word);
                    }
                    section.words.insert(word.into_string());
                }
                Event::Text(text) if in_heading => section.anchor += &anchor(&text),
                _ => {}
            }
        }
        Self { path: path.to_owned(), text, sections }
    }

    fn outline(&self) -> impl Iterator<Item = Option<HeadingLevel>> {
        self.sections.iter().map(|section| section.level)
    }

    fn links(&self) -> impl Iterator<Item = (String, String)> {
        self.sections.iter().flat_map(|section| &section.links).map(|link| self.resolve(link))
    }

    /// Which heading an anchor means.
    fn heading(&self, anchor: &str) -> Option<usize> {
        self.sections.iter().position(|section| section.level.is_some() && section.anchor == anchor)
    }

    /// A link's target from the root of the repository, and its anchor.
    fn resolve(&self, link: &str) -> (String, String) {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = match file {
            "" => self.path.clone(),
            file if file.contains("://") => file.to_owned(),
            file => normal(&Path::new(&self.path).parent().unwrap().join(file)),
        };
        (target, anchor.to_owned())
    }
}

fn row(section: &mut Section) -> &mut Vec<BTreeSet<String>> {
    section.tables.last_mut().unwrap().last_mut().unwrap()
}

fn anchor(text: &str) -> String {
    let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Without `..`.
fn normal(path: &Path) -> String {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            part => parts.push(part.as_os_str().to_str().unwrap()),
        }
    }
    parts.join("/")
}

/// English pages and their translations. What has none is linked in English.
fn pages() -> Vec<(Page, Page)> {
    let mut names: Vec<_> = fs::read_dir(root().join("docs/zh"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !GLOSSARY.ends_with(name.as_str()))
        .collect();
    names.sort();
    let docs = names.iter().map(|name| (format!("docs/{name}"), format!("docs/zh/{name}")));
    docs.chain([("README.md".to_owned(), "README.zh.md".to_owned())])
        .map(|(english, chinese)| (Page::read(&english), Page::read(&chinese)))
        .collect()
}

#[test]
fn both_languages_say_the_same() {
    if env::var_os("UPDATE_DOCS").is_some() {
        pages().iter().for_each(|(english, chinese)| copy_blocks(english, chinese));
    }
    let pages = pages();
    assert!(pages.len() > 10);
    let mut differences = Vec::new();
    for (english, chinese) in &pages {
        let path = &chinese.path;
        if !chinese.links().any(|(target, _)| target == english.path) {
            differences.push(format!("{path}: there is no link to {}", english.path));
        }
        if !english.outline().eq(chinese.outline()) {
            differences.push(format!("{path}: its headings have other levels, or are not as many"));
            continue;
        }
        for (of, is) in english.sections.iter().zip(&chinese.sections) {
            let wanted = translated(english, of, &pages);
            let found = compare((english, of), (chinese, is), &wanted);
            let place = format!("{path}#{}", is.anchor);
            differences.extend(found.iter().map(|what| format!("{place}: {what}")));
        }
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
    let (english, chinese) = pages.last().unwrap();
    assert!(english.links().any(|(target, _)| target == chinese.path), "README.md: no 中文");
}

/// What is different in a section, in words.
fn compare(
    of: (&Page, &Section),
    is: (&Page, &Section),
    links: &[(String, String)],
) -> Vec<String> {
    let mut differences = Vec::new();
    let found = links_of(is.0, is.1, &of.0.path);
    if links != found {
        differences.push(format!("links {found:?}, and not {links:?}"));
    }
    let words: Vec<_> = of.1.words.symmetric_difference(&is.1.words).collect();
    if !words.is_empty() {
        differences.push(format!("in backticks in one language only: {words:?}"));
    }
    let [rows, wanted] = [is, of].map(|(_, section)| section.tables.concat());
    if let Some(what) = first_difference(&rows, &wanted) {
        differences.push(format!("of the tables {what}"));
    }
    let [found, wanted] = [is, of].map(|(page, section)| code(page, section));
    if let Some(what) = first_difference(&found, &wanted) {
        differences.push(format!("of the code {what}"));
    }
    differences
}

fn first_difference<T: PartialEq + Debug>(found: &[T], wanted: &[T]) -> Option<String> {
    if found.len() != wanted.len() {
        return Some(format!("there are {} lines, and not {}", found.len(), wanted.len()));
    }
    let (found, wanted) = found.iter().zip(wanted).find(|(found, wanted)| found != wanted)?;
    Some(format!("{found:?}, and not {wanted:?}"))
}

/// The links of an English section, as the Chinese one has to have them, in any order.
fn translated(page: &Page, section: &Section, pages: &[(Page, Page)]) -> Vec<(String, String)> {
    let mut links = Vec::new();
    for link in &section.links {
        let (target, anchor) = page.resolve(link);
        let Some((english, chinese)) = pages.iter().find(|(english, _)| english.path == target)
        else {
            // To its own translation.
            if !pages.iter().any(|(english, zh)| zh.path == target && english.path == page.path) {
                links.push((target, anchor));
            }
            continue;
        };
        let anchor = match english.heading(&anchor) {
            // Where there is none of that number, the outlines differ, which is said.
            Some(at) => chinese.sections.get(at).map_or_else(String::new, |s| s.anchor.clone()),
            None => {
                assert!(anchor.is_empty(), "{}: {link} leads to no heading", page.path);
                anchor
            }
        };
        links.push((chinese.path.clone(), anchor));
    }
    links.sort();
    links
}

/// Without the one to the English page.
fn links_of(page: &Page, section: &Section, english: &str) -> Vec<(String, String)> {
    let links = section.links.iter().map(|link| page.resolve(link));
    let mut links: Vec<_> =
        links.filter(|(target, _)| target != english && target != GLOSSARY).collect();
    links.sort();
    links
}

/// The lines of a block of code without their comments, which are translated.
fn lines(page: &Page, block: &Range<usize>) -> Vec<String> {
    let block = &page.text[block.clone()];
    let cut = |line: &str| -> String {
        let comment = match block.lines().next().unwrap() {
            info if info.starts_with("```console") => None,
            // Names, and behind them words.
            "```text" => {
                let indent = line.len() - line.trim_start().len();
                line[indent..].find("  ").map(|at| indent + at)
            }
            _ => line.find("# ").filter(|at| line[..*at].trim_end().len() < *at || *at == 0),
        };
        line[..comment.unwrap_or(line.len())].trim_end().to_owned()
    };
    block.lines().map(cut).collect()
}

fn code(page: &Page, section: &Section) -> Vec<String> {
    section.blocks.iter().flat_map(|block| lines(page, block)).collect()
}

/// Writes a Chinese page with the English blocks of code where its own are different.
fn copy_blocks(english: &Page, chinese: &Page) {
    let blocks = |page: &Page| -> Vec<_> {
        page.sections.iter().flat_map(|section| section.blocks.clone()).collect()
    };
    let [wanted, found] = [english, chinese].map(blocks);
    if wanted.len() != found.len() {
        return;
    }
    let mut text = chinese.text.clone();
    for (of, is) in wanted.iter().zip(found).rev() {
        if lines(english, of) != lines(chinese, &is) {
            text.replace_range(is, &english.text[of.clone()]);
        }
    }
    fs::write(root().join(&chinese.path), text).unwrap();
}

/// The table of the configuration: fields, types and defaults. What they mean is in Chinese.
#[test]
fn the_chinese_readme_lists_every_field() {
    let [english, chinese] = ["README.md", "README.zh.md"].map(|path| {
        let text = read(path);
        let rows = section(&text, "configuration").lines().filter(|line| line.starts_with("| `"));
        let fields = rows.map(|row| row.rsplit_once(" | ").unwrap().0.to_owned());
        fields.collect::<Vec<_>>()
    });
    for (of, is) in english.iter().zip(&chinese) {
        assert_eq!(of, is, "README.zh.md");
    }
    assert_eq!(english.len(), chinese.len(), "README.zh.md");
}
