"""Writes the Swift code of the given articles to a folder, so that the compiler can say whether it is right.

Called by scripts/build-packages: article_code.py FOLDER ARTICLE... Each article becomes a file, and each piece of its code a
function in it, which has at hand what an article takes for granted. An article that says what to import gets just that, as
its readers do; one that imports nothing shows parts of programs, and gets everything.

article_code.py --nodes LISTENER DIALER ARTICLE writes the first two pieces of "Your first node" as the programs that they
are, but that the first listens on a free port.
"""

import pathlib
import sys

GIVEN = {"host": "BasicHost", "key": "PrivateKey", "quic": "QuicTransport", "address": "Multiaddr",
         "bootstrapPeer": "PeerID"}
IMPORTS = ("import Host", "import Multiaddr", "import NetStream", "import PeerID", "import QuicTransport")


def pieces(article):
    """The lines of each piece of Swift, with the line that the article has it at."""
    piece = None
    for number, line in enumerate(pathlib.Path(article).read_text().splitlines(), 1):
        if line == "```swift":
            piece = (number + 1, [])
        elif line == "```" and piece is not None:
            yield piece
            piece = None
        elif piece is not None:
            piece[1].append(line)


def is_import(line):
    return line.startswith("import ")


def given():
    """The types of what is at hand under names that need no import."""
    return [*IMPORTS, "", *(f"typealias Given_{name} = {kind}" for name, kind in GIVEN.items())]


def code(article):
    """The file of an article; nothing when there is no code in it."""
    name, found = pathlib.Path(article).stem, list(pieces(article))
    if not found:
        return []
    parameters = ", ".join(f"{each}: Given_{each}" for each in GIVEN)
    imports = sorted({line for _, lines in found for line in lines if is_import(line)}) or IMPORTS
    functions = []
    for number, lines in found:
        body = [line for line in lines if not is_import(line)]
        functions += ["", f"func {name}{number}({parameters}) async throws {{", *body, "}"]
    return [*imports, *functions]


def nodes(listener, dialer, article):
    """The two programs of the article, as main.swift in these folders."""
    (_, listening), (_, dialling), *_ = pieces(article)
    for folder, lines in ((listener, listening), (dialer, dialling)):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        text = "\n".join(lines).replace("/udp/4001/", "/udp/0/")
        (folder / "main.swift").write_text(text + "\n")


def main(folder, *articles):
    files = {pathlib.Path(article).stem: code(article) for article in articles}
    if not any(files.values()):
        sys.exit("article_code: there is no Swift code in these articles")
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.swift"):
        old.unlink()
    for name, lines in {**files, "Given": given()}.items():
        if lines:
            (folder / f"{name}.swift").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    nodes(*sys.argv[2:]) if sys.argv[1] == "--nodes" else main(*sys.argv[1:])
