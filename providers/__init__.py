"""What is asked, what is sent, what comes back: translation for each vendor, and the nouns all rooms share.

Part of homing-router.
"""
