"""A run of migrations in a process of its own, for a test that kills it: folder, images, programs, time."""

import sys
from pathlib import Path

from tests.migrations.site import Processes, Site, Zygote

folder, images, programs, now = sys.argv[1:]
runner = Processes(Path(images), Zygote(Path(programs)))
sys.exit(Site(Path(folder), {}, runner, now=float(now)).once())
