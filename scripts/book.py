#!/usr/bin/env python3
"""A preprocessor of mdBook for pages that read well on a forge, too.

- A line `<!-- page: ../../GUARANTEES.md -->` stands for that document, whose own links are made to fit. On a forge the line does
  not show; there the page has a link to the document.
- A link to a document that has a page leads to the page. A link to another file of the repository becomes the file's path, as
  the book does not hold the file.
- A link to what is not there ends the build with an error that names the page and the link.

See <https://rust-lang.github.io/mdBook/for_developers/preprocessors.html>.
"""
import json
import os
import re
import sys

PAGE = re.compile(r"^<!-- page: (\S+) -->$", re.MULTILINE)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```.*?^```[^\n]*$)", re.MULTILINE | re.DOTALL)


def chapters(items):
    """Every chapter below these items, with those inside of chapters."""
    for item in items:
        chapter = item.get("Chapter") if isinstance(item, dict) else None
        if chapter:
            yield chapter
            yield from chapters(chapter["sub_items"])


def relative(link, folder):
    """Splits a link of a document in `folder` into the file that it means, from the book's folder, and its heading."""
    path, _, heading = link.partition("#")
    return os.path.normpath(os.path.join(folder, path)) if path else "", heading


class Book:
    def __init__(self, root, items):
        self.root = root
        self.items = [chapter for chapter in chapters(items) if chapter.get("source_path")]
        self.pages = {chapter["source_path"] for chapter in self.items}
        # a document outside of the book, and the page that shows it
        self.shown = {}
        for chapter in self.items:
            folder = os.path.dirname(chapter["source_path"])
            for document in PAGE.findall(chapter["content"]):
                self.shown[relative(document, folder)[0]] = chapter["source_path"]
        self.faults = []

    def link(self, match, origin, page):
        """One link of the document `origin`, as the page `page` has it."""
        picture, text, link = match.groups()
        if "://" in link or link.startswith("mailto:"):
            return match.group(0)
        target, heading = relative(link, os.path.dirname(origin))
        if not target:
            return match.group(0)
        there = os.path.join(self.root, target)
        if not os.path.exists(there):
            self.faults.append(f"{os.path.normpath(os.path.join('docs', origin))}: {link} leads nowhere")
            return match.group(0)
        # a document of the root names a page as `docs/page.md`
        target = os.path.relpath(there, self.root)
        target = self.shown.get(target, target)
        if target in self.pages or picture:
            here = os.path.relpath(target, os.path.dirname(page) or ".")
            # mdBook writes a folder's README as its index
            here = re.sub(r"(^|/)README\.md$", r"\1index.md", here)
            return f"{picture}[{text}]({here}{'#' + heading if heading else ''})"
        path = os.path.relpath(there, os.path.join(self.root, ".."))
        return f"`{path}`" if text.strip("`") == path else f"{text} (`{path}`)"

    def links(self, text, origin, page):
        """The text with its links made to fit; what stands in code blocks stays as it is."""
        pieces = FENCE.split(text)
        whole = [piece if piece.startswith("```") else LINK.sub(lambda m: self.link(m, origin, page), piece) for piece in pieces]
        return "".join(whole)

    def write(self, chapter):
        page = chapter["source_path"]
        document = PAGE.search(chapter["content"])
        if not document:
            chapter["content"] = self.links(chapter["content"], page, page)
            return
        origin = relative(document.group(1), os.path.dirname(page))[0]
        with open(os.path.join(self.root, origin), encoding="utf-8") as file:
            chapter["content"] = self.links(file.read(), origin, page)


def main():
    if sys.argv[1:2] == ["supports"]:
        sys.exit(0)
    context, content = json.load(sys.stdin)
    book = Book(context["root"], content.get("items") or content["sections"])
    for chapter in book.items:
        book.write(chapter)
    if book.faults:
        sys.exit("\n".join(book.faults))
    json.dump(content, sys.stdout)


if __name__ == "__main__":
    main()
