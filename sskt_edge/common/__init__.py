"""What every other package uses: errors, files, locks, progress, text for a terminal."""
