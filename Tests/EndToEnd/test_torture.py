"""A short run of the torture: two hosts, random operations from both against a model, the usual disturbances once each.

Run: python3 -m unittest -v test_torture      (root; from this folder; binaries from scripts/build, or YOKE_BINARIES)
The long run: scripts/test torture
"""
import os
import random
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Torture"))
from run import Run


class Torture(unittest.TestCase):
    def run_for(self, kinds, with_gateway=False):
        seed = int(os.environ.get("YOKE_SEED", random.randrange(1 << 31)))
        run = Run(seed, with_gateway, kinds, lambda text: print(text, file=sys.stderr))
        has_failed = True
        try:
            run.start()
            run.each_once()
            has_failed = False
        finally:
            if has_failed:
                print("failed: YOKE_SEED=%d; logs, images and operations.log in %s" % (seed, run.pair.folder),
                      file=sys.stderr)
            run.close(keep=has_failed)

    def test_deaths_and_clean_ends(self):
        self.run_for(["kill", "terminate"])

    def test_cut_and_sleep(self):
        self.run_for(["cut", "sleep"])


if __name__ == "__main__":
    unittest.main()
