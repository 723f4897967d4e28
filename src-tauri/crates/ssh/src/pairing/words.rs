//! The words of which pairing codes are made.
//!
//! Everyday English nouns of three to eight letters, in alphabetical order. Any two differ in their
//! first four letters, and by at least three letters put in, left out or exchanged, so that a word heard on the
//! telephone or typed in haste is not taken for another one.

/// 256 words: a pair of them is 16 bits.
#[rustfmt::skip]
pub(super) const WORDS: [&str; 256] = [
    "acorn", "almond", "amber", "anchor", "apple", "apron", "aspen", "atlas", "autumn", "avenue", "badge",
    "bakery", "balloon", "bamboo", "banjo", "barley", "basil", "basket", "beacon", "beaver", "bench",
    "berry", "biscuit", "bison", "blossom", "bobsled", "bonnet", "bottle", "bronze", "brush", "bulldog",
    "cabbage", "cabin", "cactus", "camel", "candle", "canyon", "carpet", "cedar", "cello", "chess",
    "chimney", "cinema", "circle", "citrus", "clarinet", "clover", "cobalt", "cocoa", "compass", "copper",
    "cotton", "cricket", "crystal", "cupcake", "cypress", "daffodil", "daisy", "dancer", "denim", "desert",
    "diamond", "dolphin", "domino", "doorbell", "dragon", "drum", "eagle", "echo", "elbow", "elephant",
    "elm", "emerald", "engine", "envelope", "falcon", "feather", "fern", "fiddle", "flamingo", "flannel",
    "flute", "forest", "fossil", "fountain", "fox", "galaxy", "garden", "garlic", "geyser", "ginger",
    "giraffe", "glacier", "globe", "goldfish", "granite", "grape", "guitar", "hammock", "hamster", "harbor",
    "harp", "harvest", "hexagon", "hickory", "honey", "horizon", "igloo", "indigo", "iris", "island",
    "ivory", "jasmine", "jersey", "jigsaw", "juniper", "kangaroo", "kayak", "kernel", "keyboard", "kiosk",
    "kitten", "kiwi", "koala", "ladder", "lagoon", "lantern", "laurel", "lava", "lavender", "lemon",
    "lilac", "linen", "lizard", "lobster", "lotus", "lynx", "magnet", "magpie", "mailbox", "marble",
    "marigold", "meadow", "meteor", "mint", "molar", "mosaic", "moss", "muffin", "mural", "napkin",
    "nectar", "needle", "nickel", "notebook", "nougat", "nutmeg", "oatmeal", "ocean", "octopus", "olive",
    "onion", "opal", "orange", "orbit", "orchard", "osprey", "otter", "oxygen", "palace", "panda", "papaya",
    "pastel", "peanut", "pebble", "pelican", "pencil", "penguin", "piano", "picnic", "pigeon", "pillow",
    "pixel", "pocket", "poppy", "prairie", "pumpkin", "puzzle", "quail", "quartz", "quiver", "rabbit",
    "raccoon", "radish", "rainbow", "raven", "reindeer", "ribbon", "rosemary", "ruby", "saffron", "sailor",
    "sandwich", "saturn", "scarf", "shell", "sierra", "silver", "sketch", "sleigh", "snowman", "sofa",
    "sparrow", "spinach", "spruce", "squirrel", "stadium", "starfish", "stone", "sugar", "summer", "sunset",
    "swan", "tablet", "teapot", "temple", "thimble", "thunder", "toast", "tomato", "tractor", "trellis",
    "trombone", "tropic", "trumpet", "tulip", "tundra", "turtle", "umbrella", "unicorn", "vanilla",
    "velvet", "vessel", "violet", "vulture", "waffle", "walnut", "whale", "window", "wombat", "yacht",
    "yogurt", "zebra", "zenith", "zephyr", "zigzag",
];

#[cfg(test)]
mod tests {
    use super::WORDS;

    fn distance(a: &str, b: &str) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.bytes().enumerate() {
            let mut next = vec![i + 1];
            for (j, y) in b.bytes().enumerate() {
                next.push((row[j + 1] + 1).min(next[j] + 1).min(row[j] + usize::from(x != y)));
            }
            row = next;
        }
        row[b.len()]
    }

    #[test]
    fn words_are_short_plain_and_sorted() {
        assert!(WORDS.is_sorted());
        for word in WORDS {
            assert!((3..=8).contains(&word.len()), "{word}");
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase()), "{word}");
        }
    }

    #[test]
    fn no_word_is_mistaken_for_another() {
        for (index, word) in WORDS.iter().enumerate() {
            for other in &WORDS[..index] {
                assert!(distance(word, other) >= 3, "{word} {other}");
                let start = |word: &str| word.chars().take(4).collect::<String>();
                assert_ne!(start(word), start(other));
            }
        }
    }
}
