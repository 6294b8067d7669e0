"""What segmentation and detection share: encoders on pictures of any size, and pyramids of features."""
