from slugs import slugify


def test_words():
    assert slugify("Hello World") == "hello-world"


def test_digits():
    assert slugify("Top 10") == "top-10"
