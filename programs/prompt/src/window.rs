//! The window itself: an event loop of our own, so that PIN keys are taken before the toolkit sees them.

use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Instant;

use egui_software_backend::{BufferMutRef, ColorFieldOrder, EguiSoftwareRender};
use sealagent::question::{Answer, Leaf, Look};
use winit::application::ApplicationHandler;
use winit::event::{ElementState, KeyEvent, WindowEvent};
use winit::event_loop::{ActiveEventLoop, ControlFlow, EventLoop, EventLoopProxy, OwnedDisplayHandle};
use winit::keyboard::{Key, ModifiersState, NamedKey};
use winit::window::{Window, WindowId, WindowLevel};

use crate::fonts;
use crate::view::{Outcome, View};

/// Size of the window in points: fits a screen of 1024 x 768.
const SIZE: winit::dpi::LogicalSize<f64> = winit::dpi::LogicalSize::new(920.0, 640.0);

/// What comes from outside the window.
pub enum Happened {
    /// The agent no longer wants an answer.
    Withdrawn,
    /// A page has come.
    Leaf(Leaf),
    /// A screen reader spoke.
    AccessKit(accesskit_winit::Event),
}

impl From<accesskit_winit::Event> for Happened {
    fn from(event: accesskit_winit::Event) -> Self {
        Self::AccessKit(event)
    }
}

/// Shows the view until it is answered. Every error and every other end of the window is a "no". `look` asks for a page.
pub fn run(event_loop: EventLoop<Happened>, view: View, look: Box<dyn FnMut(Look)>) -> Outcome {
    let mut app = App { proxy: event_loop.create_proxy(), view, look, open: None, failure: None };
    let ended = event_loop.run_app(&mut app);
    let failure = app.failure.or(ended.err().map(|e| e.to_string()));
    app.view.take_outcome().unwrap_or_else(|| match failure {
        Some(reason) => (Answer::Failed { reason }, Default::default()),
        None => (Answer::Decline, Default::default()),
    })
}

struct App {
    proxy: EventLoopProxy<Happened>,
    view: View,
    look: Box<dyn FnMut(Look)>,
    open: Option<Open>,
    failure: Option<String>,
}

struct Open {
    context: egui::Context,
    state: egui_winit::State,
    surface: softbuffer::Surface<OwnedDisplayHandle, Rc<Window>>,
    renderer: EguiSoftwareRender,
    modifiers: ModifiersState,
    shown: bool,
    window: Rc<Window>,
}

impl ApplicationHandler<Happened> for App {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if self.open.is_none() {
            match Open::new(event_loop, self.proxy.clone(), &self.view.title()) {
                Ok(open) => self.draw_first(event_loop, open),
                Err(reason) => {
                    self.failure = Some(reason);
                    event_loop.exit();
                }
            }
        }
    }

    fn user_event(&mut self, event_loop: &ActiveEventLoop, event: Happened) {
        match event {
            Happened::Withdrawn => {
                self.view.decline();
                event_loop.exit();
            }
            Happened::Leaf(leaf) => {
                self.view.turn(&leaf);
                if let Some(open) = &self.open {
                    open.window.request_redraw();
                }
            }
            Happened::AccessKit(event) => {
                let Some(open) = &mut self.open else { return };
                match event.window_event {
                    accesskit_winit::WindowEvent::InitialTreeRequested => open.context.enable_accesskit(),
                    accesskit_winit::WindowEvent::ActionRequested(request) => open.state.on_accesskit_action_request(request),
                    accesskit_winit::WindowEvent::AccessibilityDeactivated => open.context.disable_accesskit(),
                }
                open.window.request_redraw();
            }
        }
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        let Some(open) = &mut self.open else { return };
        match &event {
            WindowEvent::CloseRequested | WindowEvent::Destroyed => self.view.decline(),
            WindowEvent::Focused(true) => self.view.regained_focus(Instant::now()),
            WindowEvent::ModifiersChanged(modifiers) => open.modifiers = modifiers.state(),
            WindowEvent::RedrawRequested => {
                if let Err(reason) = open.draw(&mut self.view) {
                    self.failure = Some(reason);
                    event_loop.exit();
                }
                if let Some(look) = self.view.take_look() {
                    (self.look)(look);
                }
            }
            _ => {}
        }
        let taken = matches!(&event, WindowEvent::KeyboardInput { event: key, .. } if takes_key(&mut self.view, key, open.modifiers))
            || matches!(event, WindowEvent::Ime(_) | WindowEvent::DroppedFile(_) | WindowEvent::HoveredFile(_));
        if taken || !matches!(event, WindowEvent::RedrawRequested) && open.state.on_window_event(&open.window, &event).repaint {
            open.window.request_redraw();
        }
        if self.view.is_answered() {
            event_loop.exit();
        }
    }

    fn about_to_wait(&mut self, event_loop: &ActiveEventLoop) {
        let now = Instant::now();
        let next = self.view.tick(now);
        if self.view.is_answered() {
            event_loop.exit();
            return;
        }
        if let ControlFlow::WaitUntil(at) = event_loop.control_flow()
            && at <= now
            && let Some(open) = &self.open
        {
            open.window.request_redraw();
        }
        event_loop.set_control_flow(ControlFlow::WaitUntil(next));
    }
}

/// Whether a key was meant for the PIN. While a PIN field has the focus the toolkit sees only keys that move, leaf or end.
fn takes_key(view: &mut View, key: &KeyEvent, modifiers: ModifiersState) -> bool {
    if !view.pin_has_focus() {
        return false;
    }
    match &key.logical_key {
        Key::Named(
            NamedKey::Tab | NamedKey::Enter | NamedKey::Escape | NamedKey::PageUp | NamedKey::PageDown | NamedKey::Shift,
        ) => false,
        Key::Named(NamedKey::Backspace) if key.state == ElementState::Pressed => view.backspace(),
        _ if key.state == ElementState::Released || modifiers.control_key() || modifiers.alt_key() || modifiers.super_key() => {
            true
        }
        _ => {
            if let Some(text) = &key.text {
                view.typed(text);
            }
            true
        }
    }
}

impl App {
    /// Draws once without being asked: a window is shown with its first picture, and Windows asks no hidden window to draw.
    fn draw_first(&mut self, event_loop: &ActiveEventLoop, mut open: Open) {
        if let Err(reason) = open.draw(&mut self.view) {
            self.failure = Some(reason);
            event_loop.exit();
        }
        if let Some(look) = self.view.take_look() {
            (self.look)(look);
        }
        open.window.request_redraw();
        self.open = Some(open);
    }
}

impl Open {
    fn new(event_loop: &ActiveEventLoop, proxy: EventLoopProxy<Happened>, title: &str) -> Result<Self, String> {
        let fonts = fonts::system_fonts().map_err(|e| e.to_string())?;
        let attributes = Window::default_attributes()
            .with_title(title)
            .with_inner_size(SIZE)
            .with_min_inner_size(winit::dpi::LogicalSize::new(720.0, 520.0))
            .with_window_level(WindowLevel::AlwaysOnTop)
            .with_visible(false);
        let window = Rc::new(event_loop.create_window(attributes).map_err(|e| e.to_string())?);
        window.set_ime_allowed(false);
        let display = softbuffer::Context::new(event_loop.owned_display_handle()).map_err(|e| e.to_string())?;
        let surface = softbuffer::Surface::new(&display, window.clone()).map_err(|e| e.to_string())?;
        let context = egui::Context::default();
        context.set_fonts(fonts);
        for (theme, text) in
            [(egui::Theme::Dark, egui::Color32::from_gray(0xe6)), (egui::Theme::Light, egui::Color32::from_gray(0x1a))]
        {
            context.style_mut_of(theme, |style| {
                style.visuals.override_text_color = Some(text);
                style.visuals.weak_text_alpha = 0.75;
                style.spacing.item_spacing = egui::vec2(8.0, 5.0);
            });
        }
        let scale = Some(window.scale_factor() as f32);
        let mut state = egui_winit::State::new(context.clone(), egui::ViewportId::ROOT, &window, scale, window.theme(), None);
        state.init_accesskit(event_loop, &window, proxy);
        let renderer = EguiSoftwareRender::new(ColorFieldOrder::Bgra);
        Ok(Self { context, state, surface, renderer, modifiers: ModifiersState::empty(), shown: false, window })
    }

    fn draw(&mut self, view: &mut View) -> Result<(), String> {
        let input = self.state.take_egui_input(&self.window);
        let mut output = self.context.run_ui(input, |ui| view.show(ui, Instant::now()));
        // No clipboard, no links, no input method, whatever a widget wishes.
        output.platform_output.commands.clear();
        output.platform_output.ime = None;
        self.state.handle_platform_output(&self.window, output.platform_output);
        let repaint = output.viewport_output.values().map(|v| v.repaint_delay).min();
        let primitives = self.context.tessellate(output.shapes, output.pixels_per_point);
        let size = self.window.inner_size();
        let (Some(width), Some(height)) = (NonZeroU32::new(size.width), NonZeroU32::new(size.height)) else { return Ok(()) };
        self.surface.resize(width, height).map_err(|e| e.to_string())?;
        let mut buffer = self.surface.buffer_mut().map_err(|e| e.to_string())?;
        buffer.fill(0);
        let mut target = BufferMutRef::new(bytemuck::cast_slice_mut(&mut buffer), size.width as usize, size.height as usize);
        self.renderer.render(&mut target, &primitives, &output.textures_delta, output.pixels_per_point);
        buffer.present().map_err(|e| e.to_string())?;
        if !self.shown {
            self.shown = true;
            self.window.set_visible(true);
            // Given at creation alone it does nothing under X11.
            self.window.set_window_level(WindowLevel::AlwaysOnTop);
            self.window.focus_window();
        }
        if repaint.is_some_and(|delay| delay.is_zero()) {
            self.window.request_redraw();
        }
        Ok(())
    }
}
