"""Risk: what each pending statement can do to what stands, judged before anything runs."""

from __future__ import annotations

from windlass.risk.assess import Assessment, Pending
from windlass.risk.verdict import CLASSES

__all__ = ["CLASSES", "Assessment", "Pending"]
