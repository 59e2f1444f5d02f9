//! A maze of cells, of which some neighbours are joined.

use std::collections::VecDeque;

use crate::random::Random;

pub struct Grid {
    width: usize,
    height: usize,
    /// For each cell, whether it is joined to the one on its right, and to the one below.
    right: Vec<bool>,
    below: Vec<bool>,
}

impl Grid {
    pub fn new(width: usize, height: usize) -> Self {
        let cells = width * height;
        Grid {
            width,
            height,
            right: vec![false; cells],
            below: vec![false; cells],
        }
    }

    /// Joins all cells by one way each: walks at random, and back where it can't go on.
    pub fn carve(&mut self, random: &mut Random) {
        let mut seen = vec![false; self.width * self.height];
        let mut trail = vec![0];
        seen[0] = true;
        while let Some(&cell) = trail.last() {
            let free: Vec<usize> = self.neighbours(cell).filter(|&next| !seen[next]).collect();
            if free.is_empty() {
                trail.pop();
                continue;
            }
            let next = free[random.below(free.len())];
            let first = cell.min(next);
            if cell.abs_diff(next) == 1 {
                self.right[first] = true;
            } else {
                self.below[first] = true;
            }
            seen[next] = true;
            trail.push(next);
        }
    }

    /// The cells from the first to the last one.
    pub fn shortest_way(&self) -> Vec<usize> {
        let last = self.width * self.height - 1;
        let mut from = vec![usize::MAX; last + 1];
        let mut waiting = VecDeque::from([0]);
        from[0] = 0;
        while let Some(cell) = waiting.pop_front() {
            for next in self.neighbours(cell) {
                if from[next] == usize::MAX && self.joined(cell, next) {
                    from[next] = cell;
                    waiting.push_back(next);
                }
            }
        }
        let mut way = vec![last];
        while way[way.len() - 1] != 0 {
            way.push(from[way[way.len() - 1]]);
        }
        way.reverse();
        way
    }

    /// Lines of text, with the way marked.
    pub fn draw(&self, way: &[usize]) -> Vec<String> {
        let mut on_way = vec![false; self.width * self.height];
        for &cell in way {
            on_way[cell] = true;
        }
        let mark = |marked: bool| if marked { "•" } else { " " };
        let mut lines = vec![format!("┌  {}┐\n", "───".repeat(self.width - 1))];
        for row in 0..self.height {
            let first = row * self.width;
            let mut cells = String::from("│");
            let mut walls = String::from(if self.below[first] { "│" } else { "├" });
            for column in 0..self.width {
                let cell = first + column;
                let here = on_way[cell];
                let onward = here && self.right[cell] && on_way[cell + 1];
                cells += &format!("{}{}", mark(here), mark(onward));
                cells += if self.right[cell] {
                    mark(onward)
                } else {
                    "│"
                };
                let down = here && self.below[cell] && on_way[cell + self.width];
                walls += if self.below[cell] {
                    if down {
                        "• "
                    } else {
                        "  "
                    }
                } else {
                    "──"
                };
                walls += if column + 1 < self.width {
                    "┼"
                } else {
                    "┤"
                };
            }
            lines.push(cells + "\n");
            lines.push(if row + 1 < self.height {
                walls + "\n"
            } else {
                format!("└{}  ┘\n", "───".repeat(self.width - 1))
            });
        }
        lines
    }

    fn joined(&self, cell: usize, next: usize) -> bool {
        let first = cell.min(next);
        if cell.abs_diff(next) == 1 {
            self.right[first]
        } else {
            self.below[first]
        }
    }

    fn neighbours(&self, cell: usize) -> impl Iterator<Item = usize> {
        let (column, row) = (cell % self.width, cell / self.width);
        let found = [
            (column > 0).then(|| cell - 1),
            (column + 1 < self.width).then_some(cell + 1),
            (row > 0).then(|| cell.wrapping_sub(self.width)),
            (row + 1 < self.height).then_some(cell + self.width),
        ];
        found.into_iter().flatten()
    }
}
