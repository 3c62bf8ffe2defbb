"""Measurements. Threads wait as they do under the command (`cli.main.prepare`)."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before anything loads torch
