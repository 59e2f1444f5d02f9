//! An agent that draws a maze and finds the way through it.

mod grid;
mod random;

use std::time::Duration;

use serde_json::Value;

use crate::grid::Grid;
use crate::random::Random;

const HELP: &str = "Say \"maze\", \"maze 30x12\" or \"maze 30x12 seed 7\", and I draw one and find the way through.";

/// Called for each message; each piece of the iterator is shown as it comes.
pub fn solve(message: &str, context: &Value) -> Box<dyn Iterator<Item = String>> {
    let Some(wish) = Wish::read(message) else {
        return Box::new(std::iter::once(HELP.to_owned()));
    };
    // Without a seed each message has a maze of its own, and the same one should it ever be answered again.
    let seed = wish
        .seed
        .unwrap_or_else(|| random::seed_of(context["message_id"].as_str().unwrap_or_default()));
    let mut grid = Grid::new(wish.width, wish.height);
    grid.carve(&mut Random::new(seed));
    let walls = grid.draw(&[]);
    let way = grid.shortest_way();
    let answer = grid.draw(&way);
    let between = format!("\nSeed {seed}. Looking for the way…\n\n");
    let end = format!("\nThe shortest way is {} steps long.\n", way.len() - 1);
    let pieces = walls
        .into_iter()
        .chain([between])
        .chain(answer)
        .chain([end]);
    Box::new(pieces.inspect(|_| std::thread::sleep(Duration::from_millis(40))))
}

struct Wish {
    width: usize,
    height: usize,
    seed: Option<u64>,
}

impl Wish {
    /// Nothing where the message asks for no maze.
    fn read(message: &str) -> Option<Wish> {
        let lower = message.to_lowercase();
        let mut wish = Wish {
            width: 18,
            height: 8,
            seed: None,
        };
        let mut words = lower.split_whitespace();
        let mut asked = lower.contains("maze");
        while let Some(word) = words.next() {
            if let Some((width, height)) = size_of(word) {
                (wish.width, wish.height, asked) = (width, height, true);
            } else if word == "seed" {
                wish.seed = words.next().and_then(|number| number.parse().ok());
            }
        }
        asked.then_some(wish)
    }
}

fn size_of(word: &str) -> Option<(usize, usize)> {
    let (width, height) = word.split_once('x')?;
    let (width, height) = (width.parse::<usize>().ok()?, height.parse::<usize>().ok()?);
    Some((width.clamp(2, 60), height.clamp(2, 40)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_way_through_any_maze() {
        for seed in 0..50 {
            let mut grid = Grid::new(20, 10);
            grid.carve(&mut Random::new(seed));
            let way = grid.shortest_way();
            assert_eq!((way.first(), way.last()), (Some(&0), Some(&199)));
        }
    }

    #[test]
    fn answers_the_same_for_the_same_seed() {
        let ask = || solve("maze 5x5 seed 3", &Value::Null).collect::<String>();
        assert_eq!(ask(), ask());
    }
}
