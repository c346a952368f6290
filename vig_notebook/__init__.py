"""Stream AI text into notebook cells."""
