"""Finding faces in pictures: the promise in `base`, an implementation a file."""
