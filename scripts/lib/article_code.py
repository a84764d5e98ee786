"""Prints one Swift file with all Swift code of the given articles, so that the compiler can say whether it is right.

Called by scripts/build-packages: article_code.py ARTICLE... Each piece of code becomes a function that has at hand what an
article takes for granted; what it imports goes to the top.
"""

import pathlib
import sys

PARAMETERS = "host: BasicHost, key: PrivateKey, quic: QuicTransport, address: Multiaddr, bootstrapPeer: PeerID"
IMPORTS = {"import Host", "import Multiaddr", "import NetStream", "import PeerID", "import QuicTransport"}


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


def main(articles):
    imports, functions = set(IMPORTS), []
    for article in articles:
        name = pathlib.Path(article).stem
        for number, lines in pieces(article):
            imports |= {line for line in lines if line.startswith("import ")}
            body = [line for line in lines if not line.startswith("import ")]
            functions += [f"func {name}{number}({PARAMETERS}) async throws {{", *body, "}", ""]
    if not functions:
        sys.exit("article_code: there is no Swift code in these articles")
    print("\n".join([*sorted(imports), "", *functions]))


if __name__ == "__main__":
    main(sys.argv[1:])
