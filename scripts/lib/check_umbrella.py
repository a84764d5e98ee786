"""Compares the umbrella manifest with the sum of the packages' own, both as dump-package prints them.

Called by scripts/check-umbrella: FOLDER PACKAGE... with FOLDER/umbrella.json and FOLDER/PACKAGE.json.
"""

import difflib
import json
import pathlib
import sys


# What the umbrella has on purpose and no package: the Host knows no transport, so its tests run in memory alone; in the
# umbrella, where QuicTransport is at hand, each of them runs on QUIC too (TestNetwork in Packages/Host/Tests).
ONLY_IN_UMBRELLA = {
    "target HostTests: needs target QuicCore",
    "target HostTests: needs target QuicTransport",
    'target HostTests: setting {"kind": {"define": {"_0": "HOSTS_ON_QUIC"}}, "tool": "swift"}',
    "target HostServiceTests: needs target QuicTransport",
    'target HostServiceTests: setting {"kind": {"define": {"_0": "HOSTS_ON_QUIC"}}, "tool": "swift"}',
}


def load(folder, name):
    return json.loads((pathlib.Path(folder) / f"{name}.json").read_text())


def plain(value):
    """The value with sorted keys, as text, for comparing and for showing."""
    return json.dumps(value, sort_keys=True)


def folder_of(package, target):
    """Where the target's sources lie, seen from the root of the repository."""
    path = target.get("path")
    if path is None:
        path = f"{'Tests' if target['type'] == 'test' else 'Sources'}/{target['name']}"
    return path if package is None else f"Packages/{package}/{path}"


def dependency(entry, products):
    """One line for a target's dependency; products of our own packages become their targets."""
    kind, values = next(iter(entry.items()))
    name, condition = values[0], values[-1]
    if kind == "product" and (values[1], name) in products:
        names = products[(values[1], name)]
        lines = [f"target {each}" for each in names]
    elif kind == "product":
        lines = [f"product {name} of {values[1]}" + (f" aliases {plain(values[2])}" if values[2] else "")]
    else:
        lines = [f"target {name}"]
    return [line + (f" when {plain(condition)}" if condition else "") for line in lines]


def external(manifest):
    """The remote dependencies: one line each. Path dependencies are the repository's own."""
    lines = []
    for entry in manifest["dependencies"]:
        for source in entry.get("sourceControl", []):
            where = source["location"].get("remote", source["location"])
            url = where[0].get("urlString") if isinstance(where, list) else plain(where)
            traits = plain(source.get("traits", []))
            lines.append(f"dependency {url} {plain(source['requirement'])} traits {traits}")
    return lines


def describe(package, manifest, products):
    """Every fact about a manifest that must agree, as sorted lines."""
    lines = external(manifest)
    for product in manifest["products"]:
        facts = {"targets": product["targets"], "type": product["type"], "settings": product["settings"]}
        lines.append(f"product {product['name']}: {plain(facts)}")
    skipped = {"name", "dependencies", "path", "packageAccess"}
    for target in manifest["targets"]:
        head = f"target {target['name']}"
        lines.append(f"{head}: folder {folder_of(package, target)}")
        for key, value in target.items():
            if key in skipped or value in ([], None):
                continue
            if key in ("settings", "resources"):
                lines += [f"{head}: {key[:-1]} {plain(item)}" for item in value]
            else:
                lines.append(f"{head}: {key} {plain(value)}")
        for entry in target["dependencies"]:
            lines += [f"{head}: needs {line}" for line in dependency(entry, products)]
    for key in ("swiftLanguageVersions", "toolsVersion", "platforms", "cLanguageStandard", "cxxLanguageStandard"):
        lines.append(f"package: {key} {plain(manifest.get(key))}")
    return lines


def main():
    folder, names = sys.argv[1], sys.argv[2:]
    manifests = {name: load(folder, name) for name in names}
    products = {
        (name, product["name"]): product["targets"]
        for name, manifest in manifests.items()
        for product in manifest["products"]
    }
    wanted = {line for name in names for line in describe(name, manifests[name], products)}
    wanted = sorted(wanted | ONLY_IN_UMBRELLA)
    found = sorted(set(describe(None, load(folder, "umbrella"), {})))
    if wanted == found:
        print(f"check-umbrella: Package.swift is the sum of {len(names)} packages ({len(found)} facts compared)")
        return 0
    print("check-umbrella: Package.swift differs from the sum of the packages.")
    print("Lines with - are missing in the umbrella, lines with + are only there:")
    for line in difflib.unified_diff(wanted, found, "Packages/*/Package.swift", "Package.swift", lineterm="", n=0):
        if not line.startswith("@@"):
            print(line)
    return 1


if __name__ == "__main__":
    sys.exit(main())
