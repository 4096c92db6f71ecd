//! Parses a Markdown document into the pieces that the checks examine: links, prose, code spans and lines of
//! code blocks, each with its line number, and the anchors of its headings.

use pulldown_cmark::{CodeBlockKind, Event, LinkType, Options, Parser, Tag, TagEnd, TextMergeWithOffset};

/// A piece of a document that may refer to something.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// The target of a link or an image.
    Link(String),
    Prose(String),
    Span(String),
    Block {
        /// Lower case, without attributes; empty if the block has no language.
        language: String,
        line: String,
    },
}

impl Piece {
    /// Returns whether this may be a shell command.
    pub(super) fn is_shell(&self) -> bool {
        match self {
            Self::Span(_) => true,
            Self::Block { language, .. } => {
                matches!(language.as_str(), "" | "sh" | "bash" | "shell" | "console" | "shell-session")
            }
            Self::Link(_) | Self::Prose(_) => false,
        }
    }
}

#[derive(Debug)]
pub(super) struct Located {
    /// The line number, counted from 1.
    pub(super) line: usize,
    pub(super) piece: Piece,
}

#[derive(Debug)]
pub(super) struct Document {
    /// The path from the root of the checkout, with forward slashes.
    pub(super) path: String,
    pub(super) pieces: Vec<Located>,
    /// The anchors of the headings, spelled as Markdown hosts spell them.
    pub(super) anchors: Vec<String>,
    text: String,
}

impl Document {
    pub(super) fn parse(path: &str, text: &str) -> Self {
        let mut reader = Reader::new(text);
        let parser = Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES);
        for (event, range) in TextMergeWithOffset::new(parser.into_offset_iter()) {
            reader.take(event, range.start);
        }
        Self { path: path.to_owned(), pieces: reader.pieces, anchors: reader.anchors, text: text.to_owned() }
    }

    /// Returns the document's folder with a trailing slash; empty at the root.
    pub(super) fn folder(&self) -> &str {
        self.path.rfind('/').map_or("", |slash| &self.path[..=slash])
    }

    /// Returns the lines that contain a placeholder word, and the word.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = (usize, &'static str)> {
        const PLACEHOLDER: &str = "TODO";
        let holds = |line: &str| line.split(|c: char| !c.is_alphanumeric()).any(|word| word == PLACEHOLDER);
        self.text
            .lines()
            .enumerate()
            .filter(move |(_, line)| holds(line))
            .map(|(at, _)| (at + 1, PLACEHOLDER))
    }
}

struct Reader {
    line_starts: Vec<usize>,
    pieces: Vec<Located>,
    anchors: Vec<String>,
    block: Option<Block>,
    heading: Option<String>,
}

struct Block {
    language: String,
    /// Whether the block contains prompts. Console blocks mix commands and output, and only lines after a
    /// prompt are commands.
    prompted: Option<bool>,
}

impl Reader {
    fn new(text: &str) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { line_starts, pieces: Vec::new(), anchors: Vec::new(), block: None, heading: None }
    }

    fn take(&mut self, event: Event<'_>, offset: usize) {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        match event {
            Event::Start(Tag::Heading { .. }) => self.heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                if let Some(title) = self.heading.take() {
                    self.add_anchor(&title);
                }
            }
            Event::Start(Tag::Link { link_type, dest_url, .. } | Tag::Image { link_type, dest_url, .. })
                if !matches!(link_type, LinkType::Autolink | LinkType::Email) =>
            {
                self.push(line, Piece::Link(dest_url.to_string()));
            }
            Event::Start(Tag::CodeBlock(kind)) => self.block = Some(Block::new(&kind)),
            Event::End(TagEnd::CodeBlock) => self.block = None,
            Event::Code(code) => {
                self.extend_heading(&code);
                self.push(line, Piece::Span(code.to_string()));
            }
            Event::Text(text) if self.block.is_some() => self.take_block(line, &text),
            Event::Text(text) => {
                self.extend_heading(&text);
                self.push(line, Piece::Prose(text.to_string()));
            }
            _ => {}
        }
    }

    fn take_block(&mut self, first: usize, text: &str) {
        let Some(block) = &mut self.block else { return };
        let prompt = |line: &str| line.trim_start().starts_with("$ ");
        let prompted = *block.prompted.get_or_insert_with(|| text.lines().any(prompt));
        let language = block.language.clone();
        for (at, line) in text.lines().enumerate() {
            let output = prompted && !prompt(line);
            let language = if output { "output".to_owned() } else { language.clone() };
            self.push(first + at, Piece::Block { language, line: line.to_owned() });
        }
    }

    fn push(&mut self, line: usize, piece: Piece) {
        self.pieces.push(Located { line, piece });
    }

    fn extend_heading(&mut self, text: &str) {
        if let Some(title) = &mut self.heading {
            title.push_str(text);
        }
    }

    fn add_anchor(&mut self, title: &str) {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let slug: String = title.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-");
        let mut anchor = slug.clone();
        let mut repeat = 0;
        while self.anchors.contains(&anchor) {
            repeat += 1;
            anchor = format!("{slug}-{repeat}");
        }
        self.anchors.push(anchor);
    }
}

impl Block {
    fn new(kind: &CodeBlockKind<'_>) -> Self {
        let info = match kind {
            CodeBlockKind::Fenced(info) => info.as_ref(),
            CodeBlockKind::Indented => "",
        };
        let language = info.split([',', ' ', '{']).next().unwrap_or_default().to_lowercase();
        Self { language, prompted: None }
    }
}
