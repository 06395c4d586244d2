//! Tells code from comments and literals, character by character.

/// What a character belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    LineComment,
    /// Nested this deep.
    BlockComment(u32),
    Text,
    /// Closed by a quote and this many hashes.
    RawText(usize),
}

/// The lines of code and the lines of comments: each as long as the text's lines, the rest blank.
pub(super) fn split(text: &str) -> (Vec<String>, Vec<String>) {
    let mut lexer =
        Lexer { rest: text.chars().collect(), at: 0, inside: Inside::Code, out: Output::default() };
    while lexer.at < lexer.rest.len() {
        lexer.step();
    }
    lexer.out.finish()
}

#[derive(Debug, Default)]
struct Output {
    code: Vec<String>,
    comments: Vec<String>,
    code_line: String,
    comment_line: String,
}

impl Output {
    fn push(&mut self, character: char, is_code: bool, is_comment: bool) {
        if character == '\n' {
            self.code.push(std::mem::take(&mut self.code_line));
            self.comments.push(std::mem::take(&mut self.comment_line));
            return;
        }
        self.code_line.push(if is_code { character } else { ' ' });
        self.comment_line.push(if is_comment { character } else { ' ' });
    }

    fn finish(mut self) -> (Vec<String>, Vec<String>) {
        if !self.code_line.is_empty() {
            self.push('\n', false, false);
        }
        (self.code, self.comments)
    }
}

#[derive(Debug)]
struct Lexer {
    rest: Vec<char>,
    at: usize,
    inside: Inside,
    out: Output,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> char {
        self.rest.get(self.at + ahead).copied().unwrap_or('\0')
    }

    /// Passes `count` characters on as what they are part of.
    fn take(&mut self, count: usize, is_code: bool, is_comment: bool) {
        for _ in 0..count.min(self.rest.len() - self.at) {
            self.out.push(self.rest[self.at], is_code, is_comment);
            self.at += 1;
        }
    }

    fn step(&mut self) {
        match self.inside {
            Inside::Code => self.code(),
            Inside::LineComment => {
                if self.peek(0) == '\n' {
                    self.inside = Inside::Code;
                }
                self.take(1, false, true);
            }
            Inside::BlockComment(depth) => self.block_comment(depth),
            Inside::Text => match self.peek(0) {
                '\\' => self.take(2, false, false),
                '"' => self.close(1),
                _ => self.take(1, false, false),
            },
            Inside::RawText(hashes) => {
                if self.peek(0) == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == '#') {
                    self.close(1 + hashes);
                } else {
                    self.take(1, false, false);
                }
            }
        }
    }

    fn close(&mut self, length: usize) {
        self.take(length, true, false);
        self.inside = Inside::Code;
    }

    fn block_comment(&mut self, depth: u32) {
        match (self.peek(0), self.peek(1)) {
            ('*', '/') => {
                self.take(2, false, true);
                self.inside = if depth == 1 { Inside::Code } else { Inside::BlockComment(depth - 1) };
            }
            ('/', '*') => {
                self.take(2, false, true);
                self.inside = Inside::BlockComment(depth + 1);
            }
            _ => self.take(1, false, true),
        }
    }

    fn code(&mut self) {
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => self.inside = Inside::LineComment,
            ('/', '*') => {
                self.take(2, false, true);
                self.inside = Inside::BlockComment(1);
            }
            ('"', _) => {
                self.take(1, true, false);
                self.inside = Inside::Text;
            }
            ('r', '"' | '#') if !self.follows_a_name() => self.raw_text(),
            ('\'', _) => self.quote(),
            _ => self.take(1, true, false),
        }
    }

    /// Whether the character before joins on: `r` ends a name, as in `bar"`. `br` and `cr` open a raw text.
    fn follows_a_name(&self) -> bool {
        let before = |back: usize| self.at.checked_sub(back).map(|at| self.rest[at]);
        let joins = |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || c == '_');
        match before(1) {
            Some('b' | 'c') => joins(before(2)),
            other => joins(other),
        }
    }

    fn raw_text(&mut self) {
        let hashes = self.rest[self.at + 1..].iter().take_while(|character| **character == '#').count();
        if self.peek(1 + hashes) == '"' {
            self.take(2 + hashes, true, false);
            self.inside = Inside::RawText(hashes);
        } else {
            // `r#name`
            self.take(1, true, false);
        }
    }

    /// A character literal is blanked; a lifetime is code.
    fn quote(&mut self) {
        let length = match (self.peek(1), self.peek(2)) {
            ('\\', _) => self.rest[self.at + 3..].iter().position(|c| *c == '\'').map(|end| end + 4),
            (_, '\'') => Some(3),
            _ => None,
        };
        match length {
            Some(length) => self.take(length, false, false),
            None => self.take(1, true, false),
        }
    }
}
