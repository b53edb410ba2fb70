"""The colours of what is printed, on light terminals and on dark ones.

The sixteen colours of a terminal are its theme's: yellow, white and cyan are lost on most light ones, and faint text on
some dark ones. These are of the fixed 256, and in the middle: their contrast is at least 3:1 (WCAG 2.2, 1.4.11) on
black, on white, and on both of Solarized's grounds.
"""

from __future__ import annotations

GOOD, BAD, WARN = "color(64)", "color(196)", "color(166)"
NOW = "color(32)"  # what goes on at this moment
QUIET = "color(244)"
