//! Whole screens, compared pixel by pixel with `tests/screens/*.png`. `KILN_BLESS=1 cargo test -p
//! kiln-firmware --test ui_screens` draws those files anew: look at them before committing them.

use std::{env, fmt::Debug, path::PathBuf};

use embedded_graphics::{
    image::GetPixel,
    pixelcolor::{BinaryColor, Gray4, Rgb565, Rgb888},
    prelude::*,
    primitives::{Circle, PrimitiveStyle, Rectangle, Triangle},
};
use embedded_graphics_simulator::{OutputSettings, SimulatorDisplay};
use kiln_firmware::ui::{
    self, Cost, Guess, Heat, Screen, Thumbnail, layout::Layout, thumbnail::Pixels,
};

#[test]
fn screens_look_as_they_should() {
    let mut wrong = Vec::new();
    check::<BinaryColor>("mono", 128, 64, &mut wrong);
    check::<Gray4>("grey", 128, 64, &mut wrong);
    check::<Rgb565>("colour", 128, 128, &mut wrong);
    check::<Rgb565>("colour", 160, 128, &mut wrong);
    check::<Rgb565>("colour", 240, 240, &mut wrong);
    assert!(wrong.is_empty(), "these screens have changed: {wrong:#?}");
}

/// Draws every screen on a display and adds the names of those that differ from their files.
fn check<C>(kind: &str, width: u32, height: u32, wrong: &mut Vec<String>)
where
    C: PixelColor + From<BinaryColor> + From<Rgb888> + Into<Rgb888> + Debug,
{
    let (square, wide) = (cat(64, 64), cat(64, 48));
    let picture = |height, bytes| Thumbnail {
        width: 64,
        height,
        channels: 3,
        pixels: Pixels::Bytes(bytes),
    };
    let pictures = [picture(64, &square), picture(48, &wide)];
    for (name, screens, heat) in scenes(pictures[0], pictures[1]) {
        let mut display = Readable(SimulatorDisplay::<C>::new(Size::new(width, height)));
        for screen in &screens {
            ui::draw(screen, &mut display).unwrap();
        }
        if let Some(heat) = heat {
            ui::explain(&heat, &mut display).unwrap();
        }
        let Readable(display) = display;
        let name = format!("{kind}-{width}x{height}-{name}.png");
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/screens")
            .join(&name);
        if env::var_os("KILN_BLESS").is_some() {
            let image = display.to_rgb_output_image(&OutputSettings::default());
            image.save_png(&path).unwrap();
        }
        let same = SimulatorDisplay::<C>::load_png(&path)
            .is_ok_and(|file| file.size() == display.size() && file.diff(&display).is_none());
        if !same {
            wrong.push(name);
        }
    }
}

/// The simulator's display, of which pixels are read as of a frame buffer.
struct Readable<C: PixelColor>(SimulatorDisplay<C>);

impl<C: PixelColor> OriginDimensions for Readable<C> {
    fn size(&self) -> Size {
        self.0.size()
    }
}

impl<C: PixelColor> DrawTarget for Readable<C> {
    type Color = C;
    type Error = std::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<C>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Self::Error> {
        self.0.draw_iter(pixels)
    }
}

impl<C: PixelColor> GetPixel for Readable<C> {
    type Color = C;

    fn pixel(&self, point: Point) -> Option<C> {
        let inside = self.bounding_box().contains(point);
        inside.then(|| self.0.get_pixel(point))
    }
}

/// A name of what is seen, what is drawn for it one after the other, and the heat over it.
type Scene<'a> = (&'static str, Vec<Screen<'a>>, Option<Heat<'a>>);

/// Of four by four places those of the cat's face.
const FACE: [u8; 16] = [0, 20, 0, 0, 40, 255, 150, 0, 30, 180, 120, 10, 0, 20, 0, 0];

/// Of two rows and three columns the one on the right below.
const CORNER: [u8; 6] = [0, 0, 60, 0, 90, 255];

fn heat<'a>(picture: &Thumbnail<'_>, [columns, rows]: [u32; 2], levels: &'a [u8]) -> Heat<'a> {
    Heat {
        width: picture.width,
        height: picture.height,
        columns,
        rows,
        levels,
    }
}

fn scenes<'a>(square: Thumbnail<'a>, wide: Thumbnail<'a>) -> Vec<Scene<'a>> {
    let guess = |label, probability| Guess { label, probability };
    let thinking = |picture| Screen::Thinking { picture };
    let answer = Screen::Answer {
        best: guess("cat", 0.973),
        second: Some(guess("dog", 0.027)),
        cost: Cost::Instructions(4_812_345),
    };
    let long = Screen::Answer {
        best: guess("Norwegische Waldkatze über Łódź", 0.412),
        second: Some(guess("Egyptian Mau of the Nile", 0.388)),
        cost: Cost::Milliseconds(1_234),
    };
    let waiting = Screen::Waiting {
        board: "lm3s6965evb",
        model: "cats-and-dogs",
    };
    let receiving = Screen::Receiving {
        done: 20_500,
        total: 49_152,
    };
    let fault = Screen::Fault {
        title: "Model damaged",
        text: "The checksum in flash is not that of the file. Flash the firmware again.",
    };
    let face = heat(&square, [4, 4], &FACE);
    let corner = heat(&wide, [3, 2], &CORNER);
    vec![
        ("waiting", vec![waiting], None),
        ("receiving", vec![receiving], None),
        ("thinking", vec![thinking(Some(square))], None),
        ("answer", vec![thinking(Some(square)), answer], None),
        ("answer-long", vec![thinking(Some(wide)), long], None),
        ("why", vec![thinking(Some(square)), answer], Some(face)),
        ("why-wide", vec![thinking(Some(wide)), long], Some(corner)),
        ("fault", vec![fault], None),
    ]
}

/// A cat before a wall, red, green and blue.
fn cat(width: u32, height: u32) -> Vec<u8> {
    let mut display = SimulatorDisplay::<Rgb888>::new(Size::new(width, height));
    let (w, h) = (width as i32, height as i32);
    for row in 0..h {
        let shade = (200 - 110 * row / h) as u8;
        let wall = Rectangle::new(Point::new(0, row), Size::new(width, 1));
        display
            .fill_solid(&wall, Rgb888::new(shade / 4, shade / 2, shade - 40))
            .unwrap();
    }
    let at = |x: i32, y: i32| Point::new(x * w / 64, y * h / 48);
    let fill = PrimitiveStyle::with_fill;
    let mut triangle = |a, b, c, colour| {
        Triangle::new(a, b, c)
            .into_styled(fill(colour))
            .draw(&mut display)
            .unwrap();
    };
    let (fur, dark, pink) = (
        Rgb888::new(226, 152, 72),
        Rgb888::new(46, 32, 28),
        Rgb888::new(236, 150, 140),
    );
    triangle(at(15, 4), at(17, 26), at(31, 14), fur);
    triangle(at(49, 4), at(47, 26), at(33, 14), fur);
    triangle(at(18, 9), at(19, 20), at(26, 14), pink);
    triangle(at(46, 9), at(45, 20), at(38, 14), pink);
    let mut circle = |centre, diameter, colour| {
        Circle::with_center(centre, diameter)
            .into_styled(fill(colour))
            .draw(&mut display)
            .unwrap();
    };
    circle(at(32, 50), 44, fur);
    circle(at(32, 27), 34, fur);
    circle(at(27, 34), 11, Rgb888::new(250, 226, 196));
    circle(at(37, 34), 11, Rgb888::new(250, 226, 196));
    for x in [25, 39] {
        circle(at(x, 24), 9, Rgb888::new(190, 220, 90));
        circle(at(x, 24), 5, dark);
        circle(at(x + 1, 23), 2, Rgb888::WHITE);
    }
    let mut triangle = |a, b, c, colour| {
        Triangle::new(a, b, c)
            .into_styled(fill(colour))
            .draw(&mut display)
            .unwrap();
    };
    triangle(at(29, 30), at(35, 30), at(32, 33), pink);
    display.to_be_bytes()
}

/// A display that counts what is drawn outside of it and inside of an area.
struct Fence {
    size: Size,
    guarded: Rectangle,
    outside: usize,
    inside_guarded: usize,
}

impl OriginDimensions for Fence {
    fn size(&self) -> Size {
        self.size
    }
}

impl DrawTarget for Fence {
    type Color = Rgb565;
    type Error = std::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb565>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Self::Error> {
        for Pixel(point, _) in pixels {
            self.outside += usize::from(!self.bounding_box().contains(point));
            self.inside_guarded += usize::from(self.guarded.contains(point));
        }
        Ok(())
    }
}

#[test]
fn nothing_leaves_the_display_and_the_answer_leaves_the_picture() {
    let pixels = cat(64, 64);
    let picture = Thumbnail {
        width: 64,
        height: 64,
        channels: 3,
        pixels: Pixels::Bytes(&pixels),
    };
    for (width, height) in [
        (128, 64),
        (128, 128),
        (128, 160),
        (160, 128),
        (240, 240),
        (320, 240),
    ] {
        let size = Size::new(width, height);
        let guarded = Layout::of(Rectangle::new(Point::zero(), size)).picture;
        for (name, screens, _) in scenes(picture, picture) {
            for screen in screens {
                let mut fence = Fence {
                    size,
                    guarded,
                    outside: 0,
                    inside_guarded: 0,
                };
                ui::draw(&screen, &mut fence).unwrap();
                assert_eq!(fence.outside, 0, "{name} on {width}×{height}");
                let untouched = fence.inside_guarded == 0;
                let answer = matches!(screen, Screen::Answer { .. });
                assert_eq!(untouched, answer, "{name} on {width}×{height}");
            }
        }
    }
}

#[test]
fn displays_of_any_size_do_no_harm() {
    let pixels = cat(64, 64);
    let picture = Thumbnail {
        width: 64,
        height: 64,
        channels: 3,
        pixels: Pixels::Bytes(&pixels),
    };
    let guesses = [f32::NAN, f32::INFINITY, -1.0, 0.5].map(|probability| Screen::Answer {
        best: Guess {
            label: "",
            probability,
        },
        second: None,
        cost: Cost::Instructions(u64::MAX),
    });
    for (width, height) in [
        (0, 0),
        (1, 1),
        (7, 200),
        (200, 7),
        (64, 32),
        (96, 16),
        (1024, 600),
    ] {
        let size = Size::new(width, height);
        let mut display = Readable(SimulatorDisplay::<Rgb565>::new(size));
        let all = scenes(picture, picture);
        for screen in all
            .iter()
            .flat_map(|(_, screens, _)| screens)
            .chain(&guesses)
        {
            ui::draw(screen, &mut display).unwrap();
        }
        for heat in all.iter().filter_map(|(.., heat)| heat.as_ref()) {
            ui::explain(heat, &mut display).unwrap();
        }
        assert_eq!(display.size(), size);
    }
}

/// Heat is drawn on the picture and nowhere else, whatever its proportions.
#[test]
fn heat_leaves_the_texts() {
    let picture = |width, height| Thumbnail {
        width,
        height,
        channels: 1,
        pixels: Pixels::Bytes(&[100; 64 * 64]),
    };
    for (width, height) in [(64, 64), (64, 20), (20, 64), (1, 64)] {
        let mut display = Readable(SimulatorDisplay::<Gray4>::new(Size::new(128, 64)));
        let picture = picture(width, height);
        let screen = Screen::Thinking {
            picture: Some(picture),
        };
        ui::draw(&screen, &mut display).unwrap();
        let before = display.0.clone();
        ui::explain(&heat(&picture, [3, 2], &CORNER), &mut display).unwrap();
        let changed = display.bounding_box().points();
        let changed = changed.filter(|&at| display.0.get_pixel(at) != before.get_pixel(at));
        let changed: Vec<Point> = changed.collect();
        // The picture is the only thing of this grey.
        let grey = Gray4::from(Rgb888::new(100, 100, 100));
        assert!(changed.iter().all(|&at| before.get_pixel(at) == grey));
        let all = display.bounding_box().points();
        let all = all.filter(|&at| before.get_pixel(at) == grey).count();
        assert!(
            changed.len() * 2 > all && all >= 64,
            "{} of {all}",
            changed.len()
        );
    }
}

#[test]
fn without_a_picture_there_is_the_sign() {
    let mut display = SimulatorDisplay::<BinaryColor>::new(Size::new(128, 64));
    ui::draw(&Screen::Thinking { picture: None }, &mut display).unwrap();
    let lit = |area: Rectangle| {
        area.points()
            .filter(|at| display.get_pixel(*at).is_on())
            .count()
    };
    let picture = Layout::of(display.bounding_box()).picture;
    assert!((200..1000).contains(&lit(picture)), "{}", lit(picture));
}
