"""What Runrelay is measured against, each as people write it and each in a process of its own."""
