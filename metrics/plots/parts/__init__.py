"""What several figures draw with: style, bars, dots, lines and legends."""
