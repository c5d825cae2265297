"""What README and docs tell people to type exists: scripts with their commands, `yoke` with its verbs, files, links.

Run: python3 -m unittest -v test_documentation      (from this folder; binaries from scripts/build, or YOKE_BINARIES)
"""
import glob
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Harness"))
from hosts import BINARIES, TOP, run

PAGES = ["README.md"] + sorted(os.path.relpath(path, TOP) for path in glob.glob(TOP + "/docs/**/*.md", recursive=True))
CLASSIC = ("drbdadm", "drbdsetup", "drbdmeta", "drbd-overview", "mkfs.ocfs2", "mounted.ocfs2", "mount.ocfs2", "o2cb")
WORD = r"[a-z][a-z0-9-]*(?:\.ocfs2)?"


def pieces(page):
    """(line number, text) of everything that is written as code: spans, and blocks that are indented."""
    with open(os.path.join(TOP, page)) as file:
        fenced = False
        for number, line in enumerate(file, 1):
            if line.startswith("```"):
                fenced = not fenced
            elif fenced or line.startswith("    "):
                # What follows behind several blanks is an explanation.
                yield number, re.split(r" {3,}", line.strip())[0]
            else:
                for span in re.findall(r"`([^`]+)`", line):
                    yield number, span


class Documentation(unittest.TestCase):
    def test_verbs_of_yoke(self):
        helped = run(BINARIES + "/yoke", "--help").stdout
        verbs = set(re.findall(r"^  (%s) +\S" % WORD, helped, re.M)) | set(CLASSIC) | {"help"}
        for page in PAGES:
            for number, text in pieces(page):
                for verb in re.findall(r"(?:^|[\s;:(`])yoke (%s)" % WORD, text):
                    self.assertIn(verb, verbs, "%s:%d: yoke %s" % (page, number, verb))

    def test_options_of_yokes_verbs(self):
        known = {}
        for page in PAGES:
            for number, text in pieces(page):
                for verb, rest in re.findall(r"(?:^|[\s;:(`])yoke (%s)([^;`]*)" % WORD, text):
                    if verb in CLASSIC or verb == "help":
                        continue
                    if verb not in known:
                        known[verb] = run(BINARIES + "/yoke", verb, "--help").stdout
                    for option in re.findall(r" (--[a-z-]+)", rest):
                        self.assertIn(option, known[verb], "%s:%d: yoke %s %s" % (page, number, verb, option))

    def test_commands_of_drbdadm_and_o2cb(self):
        helped = {
            "drbdadm": run(BINARIES + "/yoke", "drbdadm", "help", check=False).stdout
            + run(BINARIES + "/yoke", "drbdadm", "hidden-commands", check=False).stdout,
            "o2cb": run(BINARIES + "/yoke", "o2cb", "--help", check=False).stderr,
        }
        for page in PAGES:
            for number, text in pieces(page):
                for tool, word in re.findall(r"(drbdadm|o2cb) (?:-- --\S+ )?([a-z][a-z0-9-]+)", text):
                    if tool == "o2cb" and text.startswith("/etc"):
                        continue
                    self.assertRegex(helped[tool], r"\b%s\b" % re.escape(word),
                                     "%s:%d: %s %s" % (page, number, tool, word))

    def test_scripts(self):
        for page in PAGES:
            for number, text in pieces(page):
                for name, rest in re.findall(r"\b(scripts/[a-z-]+)((?: [^\s`;|]+)*)", text):
                    path = os.path.join(TOP, name)
                    self.assertTrue(os.access(path, os.X_OK), "%s:%d: %s" % (page, number, name))
                    with open(path, errors="replace") as script:
                        source = script.read()
                    for word in rest.split():
                        if not re.fullmatch(r"--[a-z-]+|[a-z]{3,}", word):
                            break
                        self.assertIn(word, source, "%s:%d: %s %s" % (page, number, name, word))
                        break

    def test_links_and_files(self):
        for page in PAGES:
            with open(os.path.join(TOP, page)) as file:
                text = file.read()
            folder = os.path.dirname(os.path.join(TOP, page))
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
                if "://" not in target:
                    self.assertTrue(os.path.exists(os.path.join(folder, target)), "%s: %s" % (page, target))
            for target in re.findall(r"`((?:Sources|Tests|Fuzz|Benchmarks)/[A-Za-z0-9_./+-]+)", text):
                self.assertTrue(os.path.exists(os.path.join(TOP, target.rstrip("."))), "%s: %s" % (page, target))

    def test_anchors(self):
        for page in PAGES:
            with open(os.path.join(TOP, page)) as file:
                text = file.read()
            folder = os.path.dirname(os.path.join(TOP, page))
            for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]+)\)", text):
                with open(os.path.join(folder, target) if target else os.path.join(TOP, page)) as file:
                    headings = re.findall(r"^#+ (.*)$", file.read(), re.M)
                anchors = [re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings]
                self.assertIn(anchor, anchors, "%s: %s" % (page, target))


if __name__ == "__main__":
    unittest.main()
