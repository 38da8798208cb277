//! Reads a source file into what the rules ask about: its module, the paths it names, its attributes.
//!
//! It works on tokens, not on syntax: so it sees into macro calls too, where a parser sees only tokens.
//! It does not resolve names; a path counts where it is written.

use std::iter::once;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::Fault;

/// A source file, read.
pub struct File {
    /// Path from the project's root, with `/`.
    pub path: String,
    /// The module the file is: `src/sync/pull.rs` is `[sync, pull]`, `src/lib.rs` is `[]`.
    pub module: Vec<String>,
    /// How many lines it has.
    pub lines: usize,
    /// Whether the first line that is not blank is a `//!` comment.
    pub documented: bool,
    /// Every path it names, imported or not.
    pub references: Vec<Reference>,
    /// The lines with an `ignore` attribute.
    pub ignored: Vec<usize>,
}

/// A path somewhere in a file; a single word counts only if it is imported.
pub struct Reference {
    /// Where.
    pub line: usize,
    /// The words of the path, as written.
    pub words: Vec<String>,
    /// The module it stands in, modules inside the file included.
    pub module: Vec<String>,
    /// How it is imported; `None` for a path in use.
    pub import: Option<Import>,
}

/// An import.
pub struct Import {
    /// The name it gets here; empty for `*` and `_`.
    pub name: String,
    /// Whether it ends in `*`.
    pub glob: bool,
    /// Whether it is passed on: `pub use`, `pub(crate) use`.
    pub public: bool,
}

impl File {
    /// Reads `text`, the contents of the file at `path`.
    pub fn read(path: &str, text: &str) -> Result<Self, Fault> {
        let tokens = text.parse::<TokenStream>().map_err(|err| Fault {
            path: path.to_owned(),
            line: err.span().start().line,
            words: format!("cannot be read: {err}"),
        })?;
        let module = module(path);
        let first = text.lines().find(|line| !line.trim().is_empty());
        let mut file = Self {
            path: path.to_owned(),
            module: module.clone(),
            lines: text.lines().count(),
            documented: first.is_some_and(|line| line.starts_with("//!")),
            references: Vec::new(),
            ignored: Vec::new(),
        };
        file.walk(tokens, &module);
        Ok(file)
    }

    /// Whether the file belongs to the crate itself rather than to its tests.
    pub fn in_crate(&self) -> bool {
        self.path.starts_with("src/")
    }

    /// The fault `words` in this file.
    pub fn fault(&self, line: usize, words: impl Into<String>) -> Fault {
        Fault {
            path: self.path.clone(),
            line,
            words: words.into(),
        }
    }

    fn walk(&mut self, tokens: TokenStream, module: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        let mut public = false;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Ident(word) if word == "pub" => {
                    public = true;
                    // `pub(in crate::...)` is no reference.
                    let scope = group(&tokens, at + 1, Delimiter::Parenthesis).is_some();
                    at += 1 + usize::from(scope);
                    continue;
                }
                TokenTree::Ident(word) if word == "mod" => {
                    let body = group(&tokens, at + 2, Delimiter::Brace);
                    if let (Some(TokenTree::Ident(name)), Some(body)) = (tokens.get(at + 1), body) {
                        let inner: Vec<String> = module
                            .iter()
                            .cloned()
                            .chain(once(name.to_string()))
                            .collect();
                        self.walk(body.stream(), &inner);
                        at += 2;
                    }
                }
                // `impl Trait + use<'a>` imports nothing.
                TokenTree::Ident(word) if word == "use" && !is_punct(&tokens, at + 1, '<') => {
                    let end = (at..tokens.len()).find(|at| is_punct(&tokens, *at, ';'));
                    let end = end.unwrap_or(tokens.len());
                    self.import(&tokens[at + 1..end], &[], module, public);
                    at = end;
                }
                TokenTree::Ident(_) => at = self.path(&tokens, at, module),
                TokenTree::Punct(mark) if mark.as_char() == '#' => {
                    let skip = 1 + usize::from(is_punct(&tokens, at + 1, '!'));
                    if let Some(body) = group(&tokens, at + skip, Delimiter::Bracket)
                        && ignores(body)
                    {
                        self.ignored.push(mark.span().start().line);
                    }
                }
                TokenTree::Group(group) => self.walk(group.stream(), module),
                _ => {}
            }
            public = false;
            at += 1;
        }
    }

    /// Takes in the path that begins at `at`, and returns the place of its last word.
    fn path(&mut self, tokens: &[TokenTree], at: usize, module: &[String]) -> usize {
        let (mut words, mut end) = (vec![tokens[at].to_string()], at);
        while is_colons(tokens, end + 1)
            && let Some(TokenTree::Ident(word)) = tokens.get(end + 3)
        {
            words.push(word.to_string());
            end += 3;
        }
        self.refer(tokens[at].span().start().line, words, module, None);
        end
    }

    /// Takes in one import tree below `prefix`.
    fn import(&mut self, tree: &[TokenTree], prefix: &[String], module: &[String], public: bool) {
        let mut words = prefix.to_vec();
        let mut name = None;
        let Some(first) = tree.first() else { return };
        let line = first.span().start().line;
        let mut at = 0;
        while let Some(token) = tree.get(at) {
            match token {
                TokenTree::Ident(word) if word == "as" => {
                    name = tree
                        .get(at + 1)
                        .map(ToString::to_string)
                        .filter(|name| name != "_");
                    name.get_or_insert_default();
                    break;
                }
                // `a::{self}` imports `a`.
                TokenTree::Ident(word) if word == "self" && !prefix.is_empty() => {}
                TokenTree::Ident(word) => words.push(word.to_string()),
                TokenTree::Punct(mark) if mark.as_char() == '*' => {
                    let import = Import {
                        name: String::new(),
                        glob: true,
                        public,
                    };
                    let line = token.span().start().line;
                    return self.refer(line, words, module, Some(import));
                }
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    for tree in inner.split(|token| is_punct(std::slice::from_ref(token), 0, ',')) {
                        self.import(tree, &words, module, public);
                    }
                    return;
                }
                _ => {}
            }
            at += 1;
        }
        let name = name.or_else(|| words.last().cloned()).unwrap_or_default();
        self.refer(
            line,
            words,
            module,
            Some(Import {
                name,
                glob: false,
                public,
            }),
        );
    }

    fn refer(
        &mut self,
        line: usize,
        words: Vec<String>,
        module: &[String],
        import: Option<Import>,
    ) {
        self.references.push(Reference {
            line,
            words,
            module: module.to_vec(),
            import,
        });
    }
}

impl Reference {
    /// The path from the crate's root, if it is one of this crate: `children` says whether a module of that path exists.
    pub fn resolve(&self, exists: impl Fn(&[String]) -> bool) -> Option<Vec<String>> {
        let mut base = self.module.clone();
        let mut words = self.words.as_slice();
        match words.first()?.as_str() {
            "crate" | "evenkeel" if words.len() > 1 => (base, words) = (Vec::new(), &words[1..]),
            "self" if words.len() > 1 => words = &words[1..],
            "super" => {}
            first if words.len() > 1 || self.import.is_some() => {
                let child: Vec<String> =
                    base.iter().cloned().chain(once(first.to_owned())).collect();
                if !exists(&child) {
                    return None;
                }
            }
            _ => return None,
        }
        while words.first().is_some_and(|word| word == "super") {
            base.pop();
            words = &words[1..];
        }
        base.extend_from_slice(words);
        Some(base)
    }
}

fn module(path: &str) -> Vec<String> {
    let inside = path
        .strip_prefix("src/")
        .unwrap_or(path)
        .trim_end_matches(".rs");
    let mut module: Vec<String> = inside.split('/').map(str::to_owned).collect();
    if inside == "lib" || module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

fn ignores(attribute: &Group) -> bool {
    let mut words = attribute.stream().into_iter();
    match words.next().map(|word| word.to_string()).as_deref() {
        Some("ignore") => true,
        Some("cfg_attr") => words.any(|token| match token {
            TokenTree::Group(group) => group
                .stream()
                .into_iter()
                .any(|word| word.to_string() == "ignore"),
            _ => false,
        }),
        _ => false,
    }
}

fn group(tokens: &[TokenTree], at: usize, delimiter: Delimiter) -> Option<&Group> {
    match tokens.get(at) {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group),
        _ => None,
    }
}

fn is_punct(tokens: &[TokenTree], at: usize, mark: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == mark)
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens, at, ':') && is_punct(tokens, at + 1, ':')
}
