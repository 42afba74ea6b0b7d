"""What Thinkback promises to hold on a public address, measured on a running gateway."""
