"""Models that were chosen to be used: registered with a card, and one of them promoted to be the champion."""
