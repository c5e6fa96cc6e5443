"""Does a bundle answer as the trained network did, how right is it, and how fast?"""
