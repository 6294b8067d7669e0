"""What segmentation and detection share: encoders on images of any size, and pyramids of features."""
