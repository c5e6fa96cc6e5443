"""What every room uses: errors, files, locks, progress, words for a terminal."""
