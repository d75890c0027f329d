"""What the kernel is asked, and the constants it is asked with."""
