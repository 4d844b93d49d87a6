"""The scenes, in the order in which they are told."""

from app.demo.scene import Script
from app.demo.scenes import bad_input, declines, expiry, history, lives, repeats, rush, transitions

# Played side by side; none disturbs another, for each has orders of its own.
SIDE_BY_SIDE: tuple[Script, ...] = (
    *lives.SCRIPTS,
    declines.SCRIPT,
    expiry.SCRIPT,
    transitions.SCRIPT,
    *repeats.SCRIPTS,
    bad_input.SCRIPT,
    history.SCRIPT,
)
# Played when the others have ended: it compares with the bank's books everything that the play has done.
LAST: Script = rush.SCRIPT
